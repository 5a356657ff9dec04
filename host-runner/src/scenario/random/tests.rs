//! What a scenario that draws may say.
