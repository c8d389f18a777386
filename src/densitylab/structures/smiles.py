"""From a SMILES string to atoms: RDKit's distance geometry (ETKDG) and its MMFF94 force field."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from densitylab.structures.check import StructureError, prepare
from densitylab.structures.extras import extra


def from_smiles(smiles: str, seed: int = 0) -> Atoms:
    """A conformer, in Å, all hydrogens added; charge from the formal charges, multiplicity from the radical electrons.

    Another seed may find another conformer. ETKDGv3: Wang et al., J. Chem. Inf. Model. 60, 2044 (2020).

    Raises
    ------
    StructureError
        A string that is no SMILES, of several molecules, or that RDKit finds no geometry for.
    """
    return to_atoms(embed(smiles, seed), smiles)


def embed(smiles: str, seed: int) -> Any:
    """RDKit's molecule with hydrogens and one relaxed conformer; see :func:`from_smiles`."""
    chem, block = extra("rdkit.Chem", "molecules"), extra("rdkit.rdBase", "molecules").BlockLogs
    with block():  # RDKit reports to stderr what we say in a sentence of our own
        molecule = chem.MolFromSmiles(smiles)
    if molecule is None or not all(atom.GetAtomicNum() for atom in molecule.GetAtoms()) or not smiles.strip():
        raise StructureError(f"{smiles!r} is not a valid SMILES string of known elements")
    if len(chem.GetMolFrags(molecule)) > 1:
        raise StructureError(f"{smiles!r} is more than one molecule: put them together in a file, see structures=files")
    molecule = chem.AddHs(molecule)
    return _shape(molecule, smiles, seed)


def _shape(molecule: Any, smiles: str, seed: int) -> Any:
    methods = extra("rdkit.Chem.AllChem", "molecules")
    options = methods.ETKDGv3()
    options.randomSeed = seed + 1  # RDKit reads -1 as "choose one"
    with extra("rdkit.rdBase", "molecules").BlockLogs():
        if methods.EmbedMolecule(molecule, options) < 0:
            options.useRandomCoords = True  # helps where the metric matrix has no good embedding
            if methods.EmbedMolecule(molecule, options) < 0:
                raise StructureError(f"RDKit finds no geometry for {smiles!r}")
        if methods.MMFFHasAllMoleculeParams(molecule):
            methods.MMFFOptimizeMolecule(molecule, maxIters=2000)
        elif methods.UFFHasAllMoleculeParams(molecule):
            methods.UFFOptimizeMolecule(molecule, maxIters=2000)
    return molecule


def to_atoms(molecule: Any, smiles: str) -> Atoms:
    """Checked atoms of a molecule that has a conformer."""
    atoms = Atoms([atom.GetSymbol() for atom in molecule.GetAtoms()], molecule.GetConformer().GetPositions())
    charge = extra("rdkit.Chem", "molecules").GetFormalCharge(molecule)
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    try:
        return prepare(atoms, charge=charge, multiplicity=unpaired + 1)
    except StructureError as error:
        raise StructureError(f"{smiles!r}: {error}") from None
