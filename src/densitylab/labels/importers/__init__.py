"""Labels that other programs made: the published pickles and texts of Rackers and Lee, molden and fchk files."""

from densitylab.labels.importers.read import FORMATS, Format, Imported, read

__all__ = ["FORMATS", "Format", "Imported", "read"]
