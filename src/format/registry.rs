//! Values as the serializers of a Schema Registry write them: a zero byte, the four bytes of a
//! schema's id, then what only that schema can read.

use crate::column::Misfit;

/// What reads such values.
pub const CURE: &str =
    "`kcat -s value=avro -r REGISTRY -J` decodes Avro, and `k` reads what it prints";

/// Returns the id of the schema that a value was written with; `None` for any other value.
pub fn schema_id(value: &[u8]) -> Option<u32> {
    match value {
        // Text holds no zero byte.
        [0, id @ ..] => id.first_chunk().map(|id| u32::from_be_bytes(*id)),
        _ => None,
    }
}

/// Says what such a value is, for people.
pub fn describe(id: u32) -> String {
    format!("in the format of a Schema Registry (schema id {id}); `k` reads JSON, CSV and text")
}

/// Returns why such a value does not fit; `None` for any other one.
pub fn misfit(value: &[u8]) -> Option<Misfit> {
    schema_id(value).map(|id| Misfit::from(format!("the value is {}", describe(id))).or(CURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_with_a_zero_byte_and_a_whole_id() {
        assert_eq!(schema_id(b"\0\0\0\0\x11rest"), Some(17));
        assert_eq!(schema_id(b"\0\x01\0\0\0"), Some(1 << 24));
        for other in [&b""[..], b"\0", b"\0\0\0\0", b"1\0\0\0\x11", b"{}"] {
            assert_eq!(schema_id(other), None);
        }
    }
}
