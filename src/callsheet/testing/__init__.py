"""For tests of plugins: the executor without processes."""
