//! The few DER shapes that keys, names and certificates are made of. Writing builds inside out; reading is strict.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Object identifiers, already encoded.
pub(crate) mod oid {
    pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    pub(crate) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    pub(crate) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    pub(crate) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    pub(crate) const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    pub(crate) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    pub(crate) const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    pub(crate) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    pub(crate) const COUNTRY: &[u8] = &[0x55, 0x04, 0x06];
    pub(crate) const LOCALITY: &[u8] = &[0x55, 0x04, 0x07];
    pub(crate) const STATE: &[u8] = &[0x55, 0x04, 0x08];
    pub(crate) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
    pub(crate) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
    pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    pub(crate) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
    pub(crate) const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    pub(crate) const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
    pub(crate) const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
}

/// One element: tag, length, body.
pub(crate) fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len().to_be_bytes();
    let significant = &len[len.iter().take_while(|&&byte| byte == 0).count()..];
    let mut out = Vec::with_capacity(body.len() + 6);
    out.push(tag);
    match significant {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).expect("a usize has at most 16 bytes"));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(body);
    out
}

/// A constructed element from its already encoded parts.
pub(crate) fn constructed<T: AsRef<[u8]>>(tag: u8, parts: &[T]) -> Vec<u8> {
    tlv(tag, &parts.iter().flat_map(AsRef::as_ref).copied().collect::<Vec<u8>>())
}

/// A SEQUENCE.
pub(crate) fn sequence<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    constructed(SEQUENCE, parts)
}

/// A context-specific constructed element, `[number]`.
pub(crate) fn context(number: u8, body: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, body)
}

/// A context-specific primitive element, `[number] IMPLICIT`.
pub(crate) fn implicit(number: u8, body: &[u8]) -> Vec<u8> {
    tlv(0x80 | number, body)
}

/// A non-negative INTEGER in its shortest form.
pub(crate) fn integer(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let skip = bytes.iter().take(7).take_while(|&&byte| byte == 0).count();
    let mut body = Vec::with_capacity(9);
    if bytes[skip] & 0x80 != 0 {
        body.push(0);
    }
    body.extend_from_slice(&bytes[skip..]);
    tlv(INTEGER, &body)
}

/// A BIT STRING whose last `unused` bits are padding.
pub(crate) fn bit_string(unused: u8, bits: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(bits.len() + 1);
    body.push(unused);
    body.extend_from_slice(bits);
    tlv(BIT_STRING, &body)
}

/// Input that is not DER, or not the shape asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotDer;

/// Reads elements one after the other.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The body of the next element, which must carry `tag`.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        let (&[found, first], rest) = self.0.split_first_chunk::<2>().ok_or(NotDer)?;
        if found != tag {
            return Err(NotDer);
        }
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => {
                let (&[a], rest) = rest.split_first_chunk::<1>().ok_or(NotDer)?;
                (usize::from(a), rest)
            }
            0x82 => {
                let (&bytes, rest) = rest.split_first_chunk::<2>().ok_or(NotDer)?;
                (usize::from(u16::from_be_bytes(bytes)), rest)
            }
            _ => return Err(NotDer), // keys are far below 64 KiB
        };
        let (body, rest) = rest.split_at_checked(len).ok_or(NotDer)?;
        self.0 = rest;
        Ok(body)
    }

    /// A reader over the body of the next element.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Reader<'a>, NotDer> {
        self.take(tag).map(Reader)
    }

    /// The bits of the next BIT STRING, which must be whole bytes.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], NotDer> {
        match self.take(BIT_STRING)?.split_first() {
            Some((0, bits)) => Ok(bits),
            _ => Err(NotDer),
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), NotDer> {
        if self.0.is_empty() { Ok(()) } else { Err(NotDer) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_shortest_and_never_negative() {
        for (value, expected) in
            [(0, &[2, 1, 0][..]), (127, &[2, 1, 127]), (128, &[2, 2, 0, 128]), (1024, &[2, 2, 4, 0])]
        {
            assert_eq!(integer(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn elements_round_trip(tag: u8, body in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let encoded = tlv(tag, &body);
            let mut reader = Reader::new(&encoded);
            if body.len() < 0x1_0000 {
                prop_assert_eq!(reader.take(tag), Ok(&body[..]));
                prop_assert_eq!(reader.end(), Ok(()));
            } else {
                prop_assert_eq!(reader.take(tag), Err(NotDer));
            }
        }

        #[test]
        fn reading_never_panics(tag: u8, bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.take(tag).is_ok() {}
            let _ = reader.bits();
        }
    }
}
