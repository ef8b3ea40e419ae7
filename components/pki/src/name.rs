//! Distinguished names as the peers write them: one attribute an RDN, PrintableString where the text allows.

use crate::der;

/// A Name from (attribute type, text) pairs, in order. An empty text is left out.
pub(crate) fn encode(attributes: &[(&[u8], &str)]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> = attributes
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(oid, text)| {
            let tag = if is_printable(text) { der::PRINTABLE_STRING } else { der::UTF8_STRING };
            let attribute = der::sequence(&[der::tlv(der::OID, oid), der::tlv(tag, text.as_bytes())]);
            der::tlv(der::SET, &attribute)
        })
        .collect();
    der::sequence(&rdns)
}

/// The ASN.1 PrintableString alphabet.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&c))
}
