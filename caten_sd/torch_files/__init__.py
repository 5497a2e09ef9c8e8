"""What torch's files hold: storages, the pickles that name them, and the trees they stand for."""
