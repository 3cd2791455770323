//! Sums, exponential and error function, written so that the compiler computes sixteen numbers at once.
//!
//! [`fast`] runs them with the widest instructions that this processor has; what it runs must be inlined to gain from it.

/// Partial sums that do not wait for each other.
const LANES: usize = 16;

/// Sums longer than this are summed up in f64.
const BLOCK: usize = 4096;

/// Runs a computation with the widest vectors that the processor has.
pub(super) fn fast<R>(compute: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(compute)
}

/// Σ f(index) over a block.
#[inline(always)]
fn sum_of(length: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let whole = length - length % LANES;
    let mut start = 0;
    while start < whole {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += value(start + lane);
        }
        start += LANES;
    }
    let rest: f32 = (whole..length).map(value).sum();
    sums.iter().sum::<f32>() + rest
}

/// Σ a.
#[inline(always)]
pub(super) fn sum(a: &[f32]) -> f32 {
    if a.len() <= BLOCK {
        return sum_of(a.len(), |index| a[index]);
    }
    a.chunks(BLOCK).map(|a| f64::from(sum_of(a.len(), |index| a[index]))).sum::<f64>() as f32
}

/// Σ a · b.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| {
        let b = &b[..a.len()];
        sum_of(a.len(), |index| a[index] * b[index])
    };
    if a.len() <= BLOCK {
        return product(a, b);
    }
    a.chunks(BLOCK).zip(b.chunks(BLOCK)).map(|(a, b)| f64::from(product(a, b))).sum::<f64>() as f32
}

/// Σ (a - mean)².
#[inline(always)]
pub(super) fn squares_around(a: &[f32], mean: f32) -> f32 {
    let squares = |a: &[f32]| sum_of(a.len(), |index| (a[index] - mean) * (a[index] - mean));
    if a.len() <= BLOCK {
        return squares(a);
    }
    a.chunks(BLOCK).map(|a| f64::from(squares(a))).sum::<f64>() as f32
}

/// The largest number.
#[inline(always)]
pub(super) fn largest(a: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for chunk in chunks {
        for (most, value) in most.iter_mut().zip(chunk) {
            *most = most.max(*value);
        }
    }
    rest.iter().chain(&most).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// e to the power of x, within two units in the last place; the nearest that is finite and not zero where x is beyond f32.
/// Cephes' polynomial (Moshier, `expf.c`).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which then stands in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let twos = rounded - ROUND;
    let rest = x - twos * 0.693_359_4 + twos * 2.121_944_4e-4;
    let polynomial = rest * 1.987_569_2e-4 + 1.398_199_9e-3;
    let polynomial = polynomial * rest + 8.333_452e-3;
    let polynomial = polynomial * rest + 4.166_579_6e-2;
    let polynomial = polynomial * rest + 1.666_666_5e-1;
    let polynomial = polynomial * rest + 0.5;
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3F80_0000));
    (polynomial * rest * rest + rest + 1.0) * power
}

/// 1 / (1 + e to the power of -x).
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The share of the normal distribution below x, within 1.5e-7: Abramowitz and Stegun, "Handbook of Mathematical
/// Functions", 7.1.26.
#[inline(always)]
pub(super) fn normal_share(x: f32) -> f32 {
    let distance = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * distance);
    let polynomial = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
    let beyond = 0.5 * polynomial * exp(-distance * distance);
    if x < 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_that_of_the_standard_library() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 2.5e-7, "{x}: {} and {expected}", exp(x));
        }
        assert!(exp(-1e30) < 1e-37 && exp(1e30).is_finite());
    }

    #[test]
    fn sums_are_exact_for_long_and_short_rows() {
        for length in [0, 1, 15, 16, 17, 5000, 100_003] {
            let row: Vec<f32> = (0..length).map(|index| ((index * 7919) % 13) as f32 - 6.0).collect();
            let expected: f64 = row.iter().map(|value| f64::from(*value)).sum();
            assert_eq!(f64::from(sum(&row)), expected);
            let expected: f64 = row.iter().map(|value| f64::from(*value).powi(2)).sum();
            assert!((f64::from(dot(&row, &row)) - expected).abs() <= 1e-7 * expected);
            assert!((f64::from(squares_around(&row, 0.0)) - expected).abs() <= 1e-7 * expected);
            assert_eq!(largest(&row), row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }

    #[test]
    fn the_normal_distribution_has_its_known_shares() {
        for (x, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.0, 0.158_655_3), (2.5, 0.993_790_3), (-6.0, 0.0)] {
            assert!((normal_share(x) - share).abs() < 2e-7, "{x}: {}", normal_share(x));
        }
    }
}
