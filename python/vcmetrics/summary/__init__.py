"""One pass over the cells: groups × genes tables."""
