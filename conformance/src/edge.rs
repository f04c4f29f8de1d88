//! A mesh of one gateway and one program on this machine.
