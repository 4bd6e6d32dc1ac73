"""What the data sets share: the contract, finding and reading files, questions as data."""
