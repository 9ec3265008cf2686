"""The tree of regions: countries, and China's provinces, cities and counties, each with its names and its code."""
