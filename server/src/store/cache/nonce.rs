//! Nonces: the values of tags.

/// 128 random bits as text, so that a tag never gets a deleted nonce again.
pub type Nonce = String;

pub(crate) fn fresh_nonce() -> Nonce {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}
