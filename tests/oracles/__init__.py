"""Other people's converters as oracles: pairs of files of the same weights, and what they prove."""
