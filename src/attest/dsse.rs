//! The envelope: DSSE, the Dead Simple Signing Envelope, version 1.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::{Deserialize, Serialize};

use super::json;
use super::key::{SigningKey, VerifyingKey};

/// The type of a payload that is an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// More signatures than this nobody gives one statement.
const MAX_SIGNATURES: usize = 100;

/// Where the text is in the other alphabet, padding is often left out.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Text that is no envelope.
#[derive(Debug, thiserror::Error)]
pub enum BadEnvelope {
    /// Not JSON of that form.
    #[error("it is not a DSSE envelope: {0}")]
    Form(#[from] serde_json::Error),
    /// Not base64.
    #[error("it is not a DSSE envelope: its {0} is not base64")]
    Base64(&'static str),
    /// Too many signatures.
    #[error("it has {0} signatures, more than the {MAX_SIGNATURES} that are looked at")]
    Signatures(usize),
}

/// A payload with signatures over it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Signature {
    /// A hint for who verifies; nothing is believed because of it.
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Signs an in-toto statement.
    pub(super) fn sign(payload: &[u8], key: &SigningKey) -> std::io::Result<Self> {
        let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, payload))?;
        Ok(Self {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![Signature {
                keyid: key.id().to_owned(),
                sig: STANDARD.encode(signature),
            }],
        })
    }

    /// Reads an envelope; of its payload nothing but the base64.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, BadEnvelope> {
        let envelope: Self = json::read(bytes)?;
        if envelope.signatures.len() > MAX_SIGNATURES {
            return Err(BadEnvelope::Signatures(envelope.signatures.len()));
        }
        decode(&envelope.payload).ok_or(BadEnvelope::Base64("payload"))?;
        Ok(envelope)
    }

    /// What the payload is said to be; signed together with it.
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload, where this key has signed it.
    pub fn payload_signed_by(&self, key: &VerifyingKey) -> Option<Vec<u8>> {
        let payload = decode(&self.payload)?;
        let message = pre_authentication_encoding(&self.payload_type, &payload);
        let mut signatures = self.signatures.iter();
        signatures
            .any(|signature| {
                decode(&signature.sig).is_some_and(|signature| key.has_signed(&message, &signature))
            })
            .then_some(payload)
    }
}

/// Standard or URL-safe base64.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .ok()
}

/// What is signed: no byte can be moved between the type and the payload.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(
            pre_authentication_encoding("ä", b""),
            "DSSEv1 2 ä 0 ".as_bytes()
        );
    }

    #[test]
    fn both_alphabets_are_read_and_nothing_else() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        assert_eq!(decode("+//+AQ==").as_deref(), Some(&bytes[..]));
        assert_eq!(decode("-__-AQ==").as_deref(), Some(&bytes[..]));
        assert_eq!(decode("-__-AQ").as_deref(), Some(&bytes[..]));
        for bad in ["+/_-AQ==", "+//+AR==", "+//+A", "+//+AQ== ", "ä"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"payloadType":"a","payload":"e30="}"#,
            r#"{"payloadType":"a","payload":"%","signatures":[]}"#,
            r#"{"payloadType":"a","payloadType":"b","payload":"e30=","signatures":[]}"#,
            r#"{"payloadType":"a","payload":"e30=","signatures":[{"sig":1}]}"#,
        ] {
            assert!(Envelope::read(bad.as_bytes()).is_err(), "{bad}");
        }
        let one = r#"{"sig":""},"#.repeat(MAX_SIGNATURES);
        let many =
            format!(r#"{{"payloadType":"a","payload":"e30=","signatures":[{one}{{"sig":""}}]}}"#);
        assert!(Envelope::read(many.as_bytes()).is_err());
    }
}
