"""What `labelloop simulate` does around the simulation: reads data sets, keeps results, draws the report."""
