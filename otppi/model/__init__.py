"""The words of the product: values, errors and events, with no behaviour that waits."""
