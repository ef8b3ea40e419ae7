//! Finds where the last lines of a log begin, reading backwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::line::LogLine;

/// Bytes read at a time.
const BLOCK: usize = 4096;
/// Bytes that surely hold the part of a line before its text.
const HEADER: usize = 128;

/// Offset at which the last `lines` lines begin; pieces of one long line count as one.
///
/// # Errors
/// The file cannot be read.
pub fn offset(file: &File, lines: u64) -> io::Result<u64> {
    let end = file.metadata()?.len();
    if lines == 0 {
        return Ok(end);
    }
    let mut block = [0_u8; BLOCK];
    // Where the line after the one being looked at begins; whole lines that begin at or after it; the answer so far.
    let mut next = end;
    let mut found = 0;
    let mut start_of_whole = end;
    let mut at = end;
    while at > 0 {
        let from = at.saturating_sub(BLOCK as u64);
        let length = usize::try_from(at - from).unwrap_or(BLOCK);
        file.read_exact_at(&mut block[..length], from)?;
        for index in (0..length).rev() {
            let start = from + index as u64 + 1;
            if block[index] != b'\n' || start == end {
                continue;
            }
            // A line [start, next) is known. If it is a full one, the line after it begins a new whole line.
            if found_new_line(file, start, next, end)? {
                found += 1;
                if found > lines {
                    return Ok(start_of_whole);
                }
            }
            start_of_whole = start;
            next = start;
        }
        at = from;
    }
    if next > 0 && found_new_line(file, 0, next, end)? {
        found += 1;
        if found > lines {
            return Ok(start_of_whole);
        }
    }
    Ok(0)
}

/// Whether the line at `start` ends a whole line: it is full, or the last one of the file.
fn found_new_line(file: &File, start: u64, next: u64, end: u64) -> io::Result<bool> {
    if next == end {
        return Ok(true);
    }
    let mut header = [0_u8; HEADER];
    let length = usize::try_from(next - start).unwrap_or(HEADER).min(HEADER);
    file.read_exact_at(&mut header[..length], start)?;
    Ok(!LogLine::parse(&header[..length]).is_some_and(|line| line.partial))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tail_of(text: &str, lines: u64) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, text).unwrap();
        let at = offset(&File::open(path).unwrap(), lines).unwrap();
        text[usize::try_from(at).unwrap()..].to_owned()
    }

    fn log(tags: &str) -> String {
        let line = |(n, tag)| format!("2025-03-01T08:15:30Z stdout {tag} {n}\n");
        tags.chars().enumerate().map(line).collect::<Vec<_>>().concat()
    }

    fn numbers(text: &str) -> String {
        text.lines().filter_map(|line| line.rsplit(' ').next()).collect()
    }

    #[test]
    fn the_last_lines_are_found() {
        let text = log("FFFF");
        assert_eq!(numbers(&tail_of(&text, 1)), "3");
        assert_eq!(numbers(&tail_of(&text, 2)), "23");
        assert_eq!(numbers(&tail_of(&text, 4)), "0123");
        assert_eq!(numbers(&tail_of(&text, 9)), "0123");
        assert_eq!(tail_of(&text, 0), "");
        assert_eq!(tail_of("", 3), "");
    }

    #[test]
    fn pieces_of_a_long_line_count_as_one() {
        let text = log("FPPFF");
        assert_eq!(numbers(&tail_of(&text, 1)), "4");
        assert_eq!(numbers(&tail_of(&text, 2)), "1234");
        assert_eq!(numbers(&tail_of(&text, 3)), "01234");
        assert_eq!(numbers(&tail_of(&log("FFP"), 1)), "2");
        assert_eq!(numbers(&tail_of(&log("PFP"), 2)), "012");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn it_agrees_with_counting_forwards(tags in "[FP]{0,12}", lines in 0_u64..8, pad in 0_usize..3000) {
            let text = log(&tags).replace("stdout F ", &format!("stdout F {}", "x".repeat(pad)));
            let raw: Vec<&str> = text.split_inclusive('\n').collect();
            let mut wholes: Vec<String> = Vec::new();
            let mut open = false;
            for line in raw {
                if open { wholes.last_mut().unwrap().push_str(line) } else { wholes.push(line.to_owned()) }
                open = line.contains(" P ");
            }
            let keep = wholes.len().saturating_sub(usize::try_from(lines).unwrap());
            prop_assert_eq!(tail_of(&text, lines), wholes[keep..].concat());
        }
    }
}
