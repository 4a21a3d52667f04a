"""The machinery of settings; every section is declared beside the code that reads it."""
