"""What storage refuses, in words for the person who asked."""


class StorageError(Exception):
    """Anything that the data folder does not hold or cannot take."""


class VersionFolderError(StorageError, RuntimeError):
    """A version's folder that is missing, changed or there already."""
