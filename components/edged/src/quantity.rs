//! Kubernetes quantities (`100m`, `1.5Gi`, `2e3`) as exact numbers. Pure.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use thiserror::Error;

const NANOS: i128 = 1_000_000_000;

/// The largest value a quantity can have; bigger ones are cut to it, as Kubernetes does.
const MAX_NANOS: i128 = i64::MAX as i128 * NANOS;

/// A quantity, exact to a billionth. Finer fractions are rounded away from zero, as Kubernetes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amount {
    nanos: i128,
}

/// A text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("quantity {text:?} is not a number with an optional suffix")]
pub struct QuantityError {
    /// The text.
    pub text: String,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0 };

    /// A whole number of units: bytes, cores, pods.
    pub fn from_units(units: u64) -> Self {
        Self { nanos: (i128::from(units) * NANOS).min(MAX_NANOS) }
    }

    /// A number of thousandths.
    pub fn from_milli(milli: u64) -> Self {
        Self { nanos: (i128::from(milli) * (NANOS / 1000)).min(MAX_NANOS) }
    }

    /// Reads a quantity as the Kubernetes API writes it.
    ///
    /// # Errors
    /// [`QuantityError`] when the text is no number or carries an unknown suffix.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse_nanos(text.trim()).map(|nanos| Self { nanos }).ok_or_else(|| QuantityError { text: text.to_owned() })
    }

    /// The value of an API field; one that does not parse counts as nothing, since the API has validated it.
    pub fn of(quantity: &Quantity) -> Self {
        Self::parse(&quantity.0).unwrap_or(Self::ZERO)
    }

    /// Whole units, rounded up; negative values are 0.
    pub fn units(self) -> u64 {
        ceil_div(self.nanos, NANOS)
    }

    /// Thousandths, rounded up; negative values are 0.
    pub fn milli(self) -> u64 {
        ceil_div(self.nanos, NANOS / 1000)
    }

    /// Whether it is 0 or less.
    pub fn is_zero(self) -> bool {
        self.nanos <= 0
    }

    /// Sum, cut at the largest value.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nanos: (self.nanos + other.nanos).min(MAX_NANOS) }
    }

    /// Difference, never below 0.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { nanos: (self.nanos - other.nanos).max(0) }
    }
}

/// A number of bytes in the form the kubelet reports memory in: `8129456Ki`, or plain bytes when not whole KiB.
pub fn kibibytes(bytes: u64) -> Quantity {
    if bytes.is_multiple_of(1024) { Quantity(format!("{}Ki", bytes / 1024)) } else { Quantity(bytes.to_string()) }
}

/// Thousandths of a core in canonical form: `2` or `1900m`.
pub fn cores(milli: u64) -> Quantity {
    if milli.is_multiple_of(1000) { Quantity((milli / 1000).to_string()) } else { Quantity(format!("{milli}m")) }
}

fn ceil_div(value: i128, by: i128) -> u64 {
    if value <= 0 {
        return 0;
    }
    let whole = value / by + i128::from(value % by != 0);
    u64::try_from(whole).unwrap_or(u64::MAX)
}

/// Nanos of a quantity text, `None` when it is none.
fn parse_nanos(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (factor, tens) = suffix_factor(suffix)?;
    // The value is digits × factor × 10^(tens − fraction length + 9) nanos.
    let fraction = fraction.trim_end_matches('0');
    let mut digits: i128 = 0;
    let mut exponent = tens.saturating_add(9).saturating_sub(i32::try_from(fraction.len()).ok()?);
    for digit in whole.trim_start_matches('0').bytes().chain(fraction.bytes()) {
        match digits.checked_mul(10).and_then(|d| d.checked_add(i128::from(digit - b'0'))) {
            // Digits beyond 10^26 cannot matter: they are either far above the largest value or below a nano.
            Some(next) if next < 10_i128.pow(26) => digits = next,
            _ => exponent = exponent.saturating_add(1),
        }
    }
    let nanos = scale(digits, factor, exponent);
    Some(if negative { -nanos } else { nanos })
}

/// `digits × factor × 10^exponent`, rounded away from zero, cut at the largest value.
fn scale(digits: i128, factor: i128, exponent: i32) -> i128 {
    if digits == 0 {
        return 0;
    }
    if exponent >= 0 {
        let power = 10_i128.checked_pow(exponent.unsigned_abs());
        let product = power.and_then(|p| digits.checked_mul(p)).and_then(|d| d.checked_mul(factor));
        return product.map_or(MAX_NANOS, |nanos| nanos.min(MAX_NANOS));
    }
    let Some(power) = 10_i128.checked_pow(exponent.unsigned_abs()) else { return 1 };
    match digits.checked_mul(factor) {
        Some(product) => (product / power + i128::from(product % power != 0)).min(MAX_NANOS),
        None => (digits / power).checked_mul(factor).map_or(MAX_NANOS, |nanos| nanos.min(MAX_NANOS)),
    }
}

/// Factor and power of ten of a suffix.
fn suffix_factor(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (1, exponent.parse().ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, units: u64, milli: u64) {
        let amount = Amount::parse(text).unwrap();
        assert_eq!((amount.units(), amount.milli()), (units, milli), "{text}");
    }

    #[test]
    fn suffixes_have_their_kubernetes_meaning() {
        check("0", 0, 0);
        check("100m", 1, 100);
        check("1.5", 2, 1500);
        check("2", 2, 2000);
        check("128974848", 128_974_848, 128_974_848_000);
        check("129e6", 129_000_000, 129_000_000_000);
        check("129M", 129_000_000, 129_000_000_000);
        check("123Mi", 128_974_848, 128_974_848_000);
        check("1.5Gi", 1_610_612_736, 1_610_612_736_000);
        check("1n", 1, 1);
        check("1E", 1_000_000_000_000_000_000, u64::try_from(1_000_000_000_000_000_000_000_i128).unwrap_or(u64::MAX));
        check("1e3", 1000, 1_000_000);
        check("1E-3", 1, 1);
        check(".5", 1, 500);
        check("5.", 5, 5000);
        check("-3", 0, 0);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-", ".", "m", "1.2.3", "1Kb", "1ki", "1e", "1ee3", "0x10", "1 Gi", "١"] {
            assert!(Amount::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_beyond_the_largest_are_cut() {
        assert_eq!(Amount::parse("1e100").unwrap().nanos, MAX_NANOS);
        assert_eq!(Amount::parse("99999999999999999999999999999999999999999Ei").unwrap().nanos, MAX_NANOS);
        assert_eq!(Amount::parse("1e-100").unwrap().nanos, 1);
    }

    #[test]
    fn reported_forms_are_canonical() {
        assert_eq!(kibibytes(8 << 20).0, "8192Ki");
        assert_eq!(kibibytes(1001).0, "1001");
        assert_eq!(cores(2000).0, "2");
        assert_eq!(cores(1900).0, "1900m");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = Amount::parse(&text);
        }

        #[test]
        fn numbers_with_many_digits_never_panic(text in "[0-9]{0,60}(\\.[0-9]{0,60})?([eE][+-]?[0-9]{1,12}|[numkMGTPE]|[KMGTPE]i)?") {
            let _ = Amount::parse(&text);
        }

        #[test]
        fn milli_and_units_are_read_back(milli in 0_u64..=u64::from(u32::MAX)) {
            prop_assert_eq!(Amount::parse(&format!("{milli}m")).unwrap().milli(), milli);
            prop_assert_eq!(Amount::parse(&cores(milli).0).unwrap().milli(), milli);
            prop_assert_eq!(Amount::parse(&kibibytes(milli).0).unwrap().units(), milli);
        }
    }
}
