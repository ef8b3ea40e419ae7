//! Resource quantities: `500m`, `1Gi`, `1e3`. Parsing, canonical text and comparison. Source: spec 10 §2.4.
//!
//! A quantity is a decimal number and a suffix of one of three families (decimal `m k M`, binary `Ki Mi`, exponent `e3`).
//! The canonical text keeps the family, has no fraction and the largest suffix possible.

use std::cmp::Ordering;
use std::fmt;

use thiserror::Error;

/// Text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct QuantityError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Decimal,
    Binary,
    Exponent,
}

/// A parsed quantity: an exact count of 10⁻⁹ units and the family of its suffix.
///
/// Parts smaller than 10⁻⁹ are rounded up (away from zero), magnitudes beyond 2⁶³ units are capped, as Kubernetes does.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    family: Family,
}

const NANO: i128 = 1_000_000_000;
const MILLI: i128 = 1_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// Zero, in the decimal family.
    pub const ZERO: Quantity = Quantity { nanos: 0, family: Family::Decimal };

    /// Reads a quantity; never panics.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError);
        }
        let (family, scale) = suffix_scale(suffix)?;
        let magnitude = match scale {
            Scale::Binary(power) => scaled(whole, fraction, 10, |digits, places| {
                // digits × 1024^power × 10^9 / 10^places, rounded up
                let unit = 1024_i128.checked_pow(power)?.checked_mul(NANO)?;
                divide_up(digits.checked_mul(unit)?, 10_i128.checked_pow(places)?)
            }),
            Scale::Ten(exponent) => scaled(whole, fraction, 24, |digits, places| {
                let shift = exponent + 9 - i32::try_from(places).ok()?;
                let factor = 10_i128.checked_pow(shift.unsigned_abs());
                match (shift >= 0, factor) {
                    (true, factor) => digits.checked_mul(factor?),
                    (false, Some(factor)) => divide_up(digits, factor),
                    (false, None) => Some(i128::from(digits != 0)),
                }
            }),
        };
        let magnitude = magnitude.unwrap_or(MAX).min(MAX);
        Ok(Quantity { nanos: if negative { -magnitude } else { magnitude }, family })
    }

    /// A whole number of units in the decimal family.
    pub fn from_units(units: i64) -> Quantity {
        Quantity { nanos: i128::from(units) * NANO, family: Family::Decimal }
    }

    /// The same quantity rounded up to a multiple of 1/1000.
    #[must_use]
    pub fn round_up_to_milli(self) -> Quantity {
        let rounded = self.nanos.div_euclid(MILLI) + i128::from(self.nanos.rem_euclid(MILLI) != 0);
        Quantity { nanos: rounded * MILLI, ..self }
    }

    /// Thousandths, rounded up and capped to the range of `i64`.
    pub fn milli(self) -> i64 {
        clamp(self.round_up_to_milli().nanos / MILLI)
    }

    /// Whole units, rounded up and capped to the range of `i64`.
    pub fn units(self) -> i64 {
        clamp(self.nanos.div_euclid(NANO) + i128::from(self.nanos.rem_euclid(NANO) != 0))
    }

    /// Whether it is a whole number of units.
    pub fn is_integer(self) -> bool {
        self.nanos % NANO == 0
    }

    /// Whether it is less than zero.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Sum, in the family of the first; capped.
    #[must_use]
    pub fn plus(self, other: Quantity) -> Quantity {
        Quantity { nanos: (self.nanos + other.nanos).clamp(-MAX, MAX), family: self.family }
    }

    /// Difference, in the family of the first; capped.
    #[must_use]
    pub fn minus(self, other: Quantity) -> Quantity {
        Quantity { nanos: (self.nanos - other.nanos).clamp(-MAX, MAX), family: self.family }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        // Below 1024 or with a fraction, binary quantities are written in the decimal family.
        let binary = self.family == Family::Binary && self.nanos % NANO == 0 && self.nanos.abs() >= 1024 * NANO;
        if binary {
            let (mut value, mut power) = (self.nanos / NANO, 0);
            while value % 1024 == 0 && power + 1 < BINARY.len() {
                value /= 1024;
                power += 1;
            }
            return write!(f, "{value}{}", BINARY[power]);
        }
        let (mut value, mut exponent) = (self.nanos, -9);
        while value % 1000 == 0 && exponent < 18 {
            value /= 1000;
            exponent += 3;
        }
        if self.family == Family::Exponent {
            return if exponent == 0 { write!(f, "{value}") } else { write!(f, "{value}e{exponent}") };
        }
        let suffix = DECIMAL.iter().find(|(_, at)| *at == exponent).map_or("", |(suffix, _)| suffix);
        write!(f, "{value}{suffix}")
    }
}

enum Scale {
    Binary(u32),
    Ten(i32),
}

fn suffix_scale(suffix: &str) -> Result<(Family, Scale), QuantityError> {
    if let Some(power) = BINARY.iter().skip(1).position(|known| *known == suffix) {
        let power = u32::try_from(power + 1).map_err(|_| QuantityError)?;
        return Ok((Family::Binary, Scale::Binary(power)));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Ok((Family::Decimal, Scale::Ten(*exponent)));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError)?;
    let exponent: i32 = exponent.parse().map_err(|_| QuantityError)?;
    if exponent.abs() > 1000 {
        return Err(QuantityError);
    }
    Ok((Family::Exponent, Scale::Ten(exponent)))
}

/// Joins the digits of a decimal number and hands them to `apply` with the count of fraction digits.
/// `None` means too large.
fn scaled(whole: &str, fraction: &str, max_places: usize, apply: impl Fn(i128, u32) -> Option<i128>) -> Option<i128> {
    // `max_places` is far below the resolution; what follows only matters for rounding up.
    let (kept, tail) = fraction.split_at(fraction.len().min(max_places));
    let mut digits: i128 = 0;
    let mut places: u32 = 0;
    for digit in whole.bytes() {
        digits = digits.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        if digits > MAX {
            return None;
        }
    }
    for digit in kept.bytes() {
        match digits.checked_mul(10).and_then(|all| all.checked_add(i128::from(digit - b'0'))) {
            Some(next) if next < i128::MAX / 1000 => {
                digits = next;
                places += 1;
            }
            _ => return apply(digits + 1, places),
        }
    }
    let rest = i128::from(tail.bytes().any(|digit| digit != b'0'));
    apply(digits + rest, places)
}

fn divide_up(value: i128, by: i128) -> Option<i128> {
    Some(value.checked_div(by)? + i128::from(value.checked_rem(by)? != 0))
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, canonical: &str) {
        assert_eq!(Quantity::parse(text).unwrap().to_string(), canonical, "{text}");
    }

    #[test]
    fn canonical_text_keeps_the_family() {
        check("0.5", "500m");
        check("1000m", "1");
        check("1024Mi", "1Gi");
        check("1.5Gi", "1536Mi");
        check("0", "0");
        check("0.0001", "100u");
        check("1e3", "1e3");
        check("12E6", "12e6");
        check("1k", "1k");
        check("1000", "1k");
        check("100", "100");
        check("-0.5", "-500m");
        check("+1", "1");
        check("3.", "3");
        check(".5", "500m");
        check("1Ei", "1Ei");
        check("0.5Ki", "512");
        check("1023Ki", "1023Ki");
        check("1500Mi", "1500Mi");
        check("0.1n", "1n");
        check("0.001Ki", "1024m");
        check("123456789012345678901234567890", "9223372036854775807");
        check("2", "2");
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in ["", "abc", "1.2.3", "1 Gi", "1gi", "--1", "1e", "Mi", ".", "1e99999999999", "0x10"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError), "{text}");
        }
    }

    #[test]
    fn values_compare_across_families() {
        let q = |text| Quantity::parse(text).unwrap();
        assert_eq!(q("1Ki"), q("1024"));
        assert!(q("1Gi") > q("1G"));
        assert_eq!(q("100m").milli(), 100);
        assert_eq!(q("1.0001").milli(), 1001);
        assert_eq!(q("1500m").units(), 2);
        assert_eq!(q("1u").round_up_to_milli().to_string(), "1m");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn numbers_never_panic(text in "[+-]?[0-9]{0,50}\\.?[0-9]{0,50}([KMGTPE]i?|[numk]|e-?[0-9]{1,4})?") {
            let _ = Quantity::parse(&text).map(|quantity| quantity.to_string());
        }

        #[test]
        fn canonical_text_is_a_fixed_point(number in "[0-9]{1,12}(\\.[0-9]{1,6})?", suffix in "([KMGT]i|[numkMGT]|e[0-9])?") {
            let quantity = Quantity::parse(&format!("{number}{suffix}")).unwrap();
            let again = Quantity::parse(&quantity.to_string()).unwrap();
            prop_assert_eq!(again, quantity);
            prop_assert_eq!(again.to_string(), quantity.to_string());
        }
    }
}
