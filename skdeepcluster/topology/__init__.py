"""Neighbourhoods of samples: representatives, graphs, and communities of graphs.

What :class:`~skdeepcluster.ITECClustering` learns from beside the images themselves,
and what :class:`~skdeepcluster.ViewGraphClustering` cuts into clusters.
"""

from skdeepcluster.topology._communities import (
    find_communities,
    merge_communities,
    merge_step_by_step,
    partition_graph,
)
from skdeepcluster.topology._counting import estimate_n_clusters
from skdeepcluster.topology._graphs import (
    nearest_on_sphere,
    neighbor_graph,
    shared_neighbor_graph,
)
from skdeepcluster.topology._representatives import (
    local_topology_matrix,
    select_representatives,
)

__all__ = [
    "estimate_n_clusters",
    "find_communities",
    "local_topology_matrix",
    "merge_communities",
    "merge_step_by_step",
    "nearest_on_sphere",
    "neighbor_graph",
    "partition_graph",
    "select_representatives",
    "shared_neighbor_graph",
]
