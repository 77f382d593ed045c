"""One module for each family of `vigie` commands."""
