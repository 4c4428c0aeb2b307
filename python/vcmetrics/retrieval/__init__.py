"""Does a profile find its own among many? Distances, match ranks, scopes, scales, conventions."""
