"""What is done to leaves: indexed, cast, put in C order, compared by place, joined from tiles."""
