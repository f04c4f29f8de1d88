//! A real Envoy, where `WAVETANK_ENVOY` names one.
