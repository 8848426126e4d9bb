//! The values of tags.

/// A value that a tag never has again once it was deleted: 128 random bits as text.
pub type Nonce = String;

pub(crate) fn fresh_nonce() -> Nonce {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}
