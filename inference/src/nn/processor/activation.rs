//! Gated activations (Shazeer, "GLU Variants Improve Transformer", 2020).

use super::{
    Array, BackwardPass, Operation, by_rows,
    lanes::{exp, fast, normal_share, sigmoid},
};

/// Rows of numbers that are computed together.
const ROW: usize = 256;

/// `activation(gate) · value`, number by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gated {
    /// x · sigmoid(x) (Elfwing et al., 2017).
    Silu,
    /// x times the share of the normal distribution below x (Hendrycks and Gimpel, 2016).
    Gelu,
}

impl Gated {
    #[inline(always)]
    fn active(self, x: f32) -> f32 {
        match self {
            Self::Silu => x * sigmoid(x),
            Self::Gelu => x * normal_share(x),
        }
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        match self {
            Self::Silu => {
                let share = sigmoid(x);
                share * (1.0 + x * (1.0 - share))
            }
            Self::Gelu => {
                let density = exp(-0.5 * x * x) * 0.398_942_3;
                normal_share(x) + x * density
            }
        }
    }

    /// `compute` of two arrays' numbers, in place of the first's.
    fn over(first: &Array, second: &Array, third: &Array, compute: impl Fn(f32, f32, f32) -> f32 + Sync) -> Array {
        let mut output = first.values().to_vec();
        let (second, third) = (second.values(), third.values());
        by_rows(&mut output, ROW.min(first.values().len().max(1)), |row, chunk| {
            let start = row * ROW;
            let (second, third) = (&second[start..][..chunk.len()], &third[start..][..chunk.len()]);
            fast(|| {
                for ((value, second), third) in chunk.iter_mut().zip(second).zip(third) {
                    *value = compute(*value, *second, *third);
                }
            });
        });
        Array::new(output, first.shape())
    }
}

impl Operation<2> for Gated {
    type Kept = ();

    fn forward(&self, [gate, value]: [&Array; 2]) -> (Array, ()) {
        let output = match self {
            Self::Silu => Self::over(gate, value, value, |gate, value, _| Self::Silu.active(gate) * value),
            Self::Gelu => Self::over(gate, value, value, |gate, value, _| Self::Gelu.active(gate) * value),
        };
        (output, ())
    }

    fn backward(&self, pass: BackwardPass<'_, (), 2>) -> [Option<Array>; 2] {
        let ([gate, value], gradient) = (pass.inputs, pass.gradient);
        let of_gate = pass.wanted[0].then(|| match self {
            Self::Silu => {
                Self::over(gate, value, gradient, |gate, value, gradient| Self::Silu.slope(gate) * value * gradient)
            }
            Self::Gelu => {
                Self::over(gate, value, gradient, |gate, value, gradient| Self::Gelu.slope(gate) * value * gradient)
            }
        });
        let of_value = pass.wanted[1].then(|| match self {
            Self::Silu => Self::over(gate, gate, gradient, |gate, _, gradient| Self::Silu.active(gate) * gradient),
            Self::Gelu => Self::over(gate, gate, gradient, |gate, _, gradient| Self::Gelu.active(gate) * gradient),
        });
        [of_gate, of_value]
    }
}
