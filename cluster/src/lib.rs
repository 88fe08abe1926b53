//! weir whose stages are computed by the machines of a cluster.
