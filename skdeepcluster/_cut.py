"""What the clusterers that end in a transfer cut share."""

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeepcluster._images import tensor_to_array
from skdeepcluster.consensus import embed_rows, shorten_rows, transfer_cut_map

# Eigenvalues beyond those of the embedding, for users who look for a gap.
_MORE_EIGENVALUES = 10

# Rows of the embedding that suffice to find its centres: each is a few numbers, and any
# more rows would not move the centres by what matters.
ROWS_FOR_CENTERS = 20_000

# Rows whose assignments are found at a time, filled up where there are fewer: the last
# digits of a matrix product depend on its shape, and no row shall depend on others.
_ROWS_OF_A_CHUNK = 1024

# Variance of the members of a cluster in the embedding, at least: where all of them
# coincide, assignments are hard rather than undefined.
_MIN_VARIANCE = 1e-12


class BaseTransferCut(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):
    """Prediction from the links of new rows to the columns of a bipartite graph.

    A subclass has ``_links(X)``, the rows of the graph for checked samples, and its
    ``fit`` calls ``_cut``.
    """

    def predict(self, X):
        """Assign every sample to its closest cluster in the embedding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples like those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Cluster indices, from 0.
        """
        return self._label(self._embed(X))

    def predict_proba(self, X):
        r"""Degree to which every sample belongs to each cluster.

        .. math:: p_{ij} \propto \exp(-\|z_i - \mu_j\|^2 / (2 s^2))

        with the centres and the variance per dimension :math:`s^2` that k-means found
        in the embedding: clusters as round clouds of the same size.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples like those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            With the data type of ``transform``. Rows sum to 1, and their largest entry
            is at what ``predict`` returns.
        """
        return np.concatenate(list(self._assign_in_chunks(self._embed(X))))

    def transform(self, X):
        """Embed every sample by its links.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples like those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_dims)
            Rows of unit length, of the dimensions of ``cluster_centers_``; float32 if X
            is, else float64.
        """
        return self._embed(X)

    def _embed(self, X):
        check_is_fitted(self)
        links = self._links(self._check_X(X, reset=False))
        return shorten_rows(embed_rows(links, self._mapping), self._n_features_out)

    def _check_X(self, X, *, reset):
        if isinstance(X, torch.Tensor):  # of any type, and on any device
            X = tensor_to_array(X)
        return validate_data(
            self, X, reset=reset, dtype=[np.float64, np.float32], order="C"
        )

    def _cut(self, B, find_centers, n_dims):
        """Partition the rows of a graph, and keep what predictions need.

        Parameters
        ----------
        B : csr_array of shape (n_samples, n_columns)
            Weights of the links.

        find_centers : callable
            Maps the embedding to what :func:`kmeans` returns: centres in all of its
            dimensions, or in the first ones, where rows have unit length again.

        n_dims : int
            Dimensions of the embedding, if the graph has so many.

        Returns
        -------
        ndarray of shape (n_samples, n_dims_of_centers)
            The embedding in the dimensions of the centres.
        """
        n_eigenvalues = int(self.n_clusters) + _MORE_EIGENVALUES
        mapping, eigenvalues = transfer_cut_map(
            B, self.n_clusters, max(n_eigenvalues, n_dims)
        )
        self.eigenvalues_ = eigenvalues[:n_eigenvalues]
        self._mapping = mapping[:, :n_dims].copy()
        Z = embed_rows(B, self._mapping)
        del B  # as large as Z or larger; callers keep no reference
        centers, squared_distance, self.n_iter_ = find_centers(Z)
        self._n_features_out = centers.shape[1]
        Z = shorten_rows(Z, self._n_features_out)
        self.cluster_centers_ = centers.astype(Z.dtype, copy=False)
        self._variance = max(squared_distance / centers.shape[1], _MIN_VARIANCE)
        self.labels_ = self._label(Z)
        return Z

    def _label(self, Z):
        return np.concatenate(
            [degrees.argmax(axis=1) for degrees in self._assign_in_chunks(Z)]
        )

    def _assign_in_chunks(self, Z):
        """Yield the degrees of embedded rows, chunk by chunk."""
        for start in range(0, len(Z), _ROWS_OF_A_CHUNK):
            rows = np.arange(start, start + _ROWS_OF_A_CHUNK).clip(max=len(Z) - 1)
            yield self._assign(Z[rows])[: len(Z) - start]

    def _assign(self, Z):
        """Degrees of a chunk of embedded rows, as they are returned to the user."""
        centers = self.cluster_centers_.astype(np.float64)
        # half the squared distances, without the part that is the same for all centres
        halves = np.square(centers).sum(axis=1) / 2 - Z.astype(np.float64) @ centers.T
        halves -= halves.min(axis=1, keepdims=True)
        degrees = np.exp(-halves / self._variance)
        return (degrees / degrees.sum(axis=1, keepdims=True)).astype(Z.dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
