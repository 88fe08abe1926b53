//! Whatever stands in a task file, reading it gives a task or an error with a message, and never breaks off.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = weir::fuzzing::task_file(text) {
        assert!(!error.to_string().is_empty());
        assert_eq!(error.exit_code(), 2);
    }
});
