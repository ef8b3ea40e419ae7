//! Syntax of cron schedules: five fields or an `@` word. Source: spec 10 §2.5 (CronJob).

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One of the five fields: its range and the names that stand for numbers.
struct Bounds {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const FIELDS: [Bounds; 5] = [
    Bounds { min: 0, max: 59, names: &[] },
    Bounds { min: 0, max: 23, names: &[] },
    Bounds { min: 1, max: 31, names: &[] },
    Bounds { min: 1, max: 12, names: &MONTHS },
    Bounds { min: 0, max: 6, names: &DAYS },
];

/// Checks a schedule; the error is the sentence for the user.
pub(super) fn check(line: &str) -> Result<(), String> {
    if let Some(word) = line.strip_prefix('@') {
        let known = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"].contains(&word);
        let every = word.strip_prefix("every ").is_some_and(is_duration);
        return if known || every { Ok(()) } else { Err(format!("unrecognized descriptor: {line}")) };
    }
    let fields: Vec<&str> = line.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("Expected exactly 5 fields, found {}: {line}", fields.len()));
    }
    for (field, bounds) in fields.iter().zip(&FIELDS) {
        for part in field.split(',') {
            range(part, bounds)?;
        }
    }
    Ok(())
}

fn range(part: &str, bounds: &Bounds) -> Result<(), String> {
    let (span, step) = part.split_once('/').map_or((part, None), |(span, step)| (span, Some(step)));
    if let Some(step) = step {
        match step.parse::<u32>() {
            Ok(0) => return Err(format!("Step of range should be a positive number: {part}")),
            Ok(_) => {}
            Err(_) => return Err(format!("Failed to parse int from {step}: {part}")),
        }
    }
    if matches!(span, "*" | "?") {
        return Ok(());
    }
    let (start, end) = span.split_once('-').unwrap_or((span, span));
    let (start, end) = (number(start, bounds)?, number(end, bounds)?);
    if start < bounds.min {
        return Err(format!("Beginning of range ({start}) below minimum ({}): {part}", bounds.min));
    }
    if end > bounds.max {
        return Err(format!("End of range ({end}) above maximum ({}): {part}", bounds.max));
    }
    if start > end {
        return Err(format!("Beginning of range ({start}) beyond end of range ({end}): {part}"));
    }
    Ok(())
}

fn number(text: &str, bounds: &Bounds) -> Result<u32, String> {
    if let Some(at) = bounds.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(u32::try_from(at).unwrap_or_default() + bounds.min);
    }
    text.parse().map_err(|_| format!("Failed to parse int from {text}"))
}

/// A Go duration such as `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let Some(unit) = ["ms", "us", "ns", "h", "m", "s"].into_iter().find(|unit| rest[digits..].starts_with(unit))
        else {
            return false;
        };
        if digits == 0 {
            return false;
        }
        rest = &rest[digits + unit.len()..];
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn schedules() {
        for good in ["*/5 * * * *", "0 0 1 jan mon-fri", "1,2,3-9/2 0-23 ? * 0", "@daily", "@every 1h30m"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check("bad"), Err("Expected exactly 5 fields, found 1: bad".to_owned()));
        for bad in
            ["60 * * * *", "* * 0 * *", "* * * 13 *", "9-1 * * * *", "*/0 * * * *", "x * * * *", "@never", "@every x"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
