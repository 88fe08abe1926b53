//! section1
