//! Balancers: turns, shares, panic, avoidance.
