//! edged
