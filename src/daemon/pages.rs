//! Gives back the pages of code that only starting needed. The one room of the binary with `unsafe`.
//!
//! Reading settings, enrolling and opening the database touch megabytes of code that an idle edge never runs again, and
//! the kernel counts them as resident until memory is short. What is needed again comes back from the page cache.

#![expect(unsafe_code, reason = "madvise has no safe form; see the SAFETY line")]

use std::{ffi::c_void, fs, io, ptr::NonNull};

use nix::sys::mman::{MmapAdvise, madvise};

/// Drops the resident pages of our own code; returns how many bytes were mapped there.
///
/// # Errors
/// When the kernel's table of mappings cannot be read or it refuses the advice. Nothing has changed then.
pub fn give_back_code() -> io::Result<usize> {
    let program = fs::read_link("/proc/self/exe")?;
    let table = fs::read_to_string("/proc/self/maps")?;
    let mut dropped = 0;
    for (start, length) in table.lines().filter_map(|line| code(line, program.to_str()?)) {
        let Some(address) = NonNull::new(start as *mut c_void) else { continue };
        // SAFETY: the kernel has just said that this range is a private, read-only, executable mapping of our program
        // file. Nothing can have written to it, so every dropped page reads the same when it is faulted in again.
        unsafe { madvise(address, length, MmapAdvise::MADV_DONTNEED) }?;
        dropped += length;
    }
    Ok(dropped)
}

/// Start and length of a line of the table that maps code of `program`.
fn code(line: &str, program: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    if !rest.starts_with("r-xp ") || rest.split_whitespace().nth(4)? != program {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_code_is_meant() {
        let line = |rights: &str, file: &str| format!("1000-3000 {rights} 00001000 08:01 77   {file}");
        assert_eq!(code(&line("r-xp", "/bin/keadm"), "/bin/keadm"), Some((0x1000, 0x2000)));
        assert_eq!(code(&line("rwxp", "/bin/keadm"), "/bin/keadm"), None, "written code would be lost");
        assert_eq!(code(&line("r--p", "/bin/keadm"), "/bin/keadm"), None, "relocated data would be lost");
        assert_eq!(code(&line("r-xp", "/lib/libc.so"), "/bin/keadm"), None);
        assert_eq!(code("rubbish", "/bin/keadm"), None);
    }

    #[test]
    fn the_program_goes_on_after_its_code_was_given_back() {
        assert!(give_back_code().expect("the kernel agrees") > 0);
        assert_eq!((1..=10).sum::<u32>(), 55);
    }
}
