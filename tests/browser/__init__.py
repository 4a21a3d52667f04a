"""The admin pages in a real browser. A package, so that the browser is closed before other tests begin."""
