//! Scalars that GraphQL lacks.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// The largest integer that a JSON number carries exactly everywhere.
const MOST: i64 = (1 << 53) - 1;

/// A whole number of up to 53 bits, as a JSON number: seeds, sizes in bytes, credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BigInt(pub i64);

#[Scalar(name = "BigInt")]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => match number.as_i64() {
                Some(number) if number.abs() <= MOST => Ok(Self(number)),
                _ => Err(InputValueError::custom("A BigInt is a whole number between -(2^53 - 1) and 2^53 - 1.")),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}
