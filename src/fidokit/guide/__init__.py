"""What composes everything: the tour, and the diagnosis of this machine."""
