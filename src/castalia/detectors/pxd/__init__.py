"""Belle II's pixel detector and the beam background in it: our own simulation, not Geant4's."""
