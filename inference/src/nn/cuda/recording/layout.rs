//! Where in one piece of memory numbers lie that are not needed all the time: those that are not there at once share a place.

/// Places begin at multiples of so many bytes.
pub(super) const ALIGNMENT: u64 = 512;

/// Numbers of a network, from when they are written until they are read for the last time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub bytes: u64,
    pub first: usize,
    pub last: usize,
}

impl Lifetime {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where each of them lies, and how many bytes all take. The largest are placed first, each in the lowest gap that it fits in
/// (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
pub(super) fn lay_out(lifetimes: &[Lifetime]) -> (Vec<u64>, u64) {
    let mut by_size: Vec<usize> = (0..lifetimes.len()).collect();
    by_size.sort_by_key(|index| std::cmp::Reverse(lifetimes[*index].bytes));
    let mut offsets = vec![0; lifetimes.len()];
    // In the order of their offsets.
    let mut placed: Vec<usize> = Vec::with_capacity(lifetimes.len());
    let mut all = 0;
    for index in by_size {
        let this = &lifetimes[index];
        let bytes = this.bytes.next_multiple_of(ALIGNMENT);
        let mut offset = 0;
        for other in placed.iter().copied().filter(|other| lifetimes[*other].meets(this)) {
            if offset + bytes <= offsets[other] {
                break;
            }
            offset = offset.max(offsets[other] + lifetimes[other].bytes.next_multiple_of(ALIGNMENT));
        }
        offsets[index] = offset;
        let place = placed.partition_point(|other| offsets[*other] <= offset);
        placed.insert(place, index);
        all = all.max(offset + bytes);
    }
    (offsets, all)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::{ALIGNMENT, Lifetime, lay_out};

    #[test]
    fn what_is_there_at_once_does_not_share_a_place() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for count in [1, 2, 10, 200] {
            let one = |_| {
                let first = random.random_range(0..300);
                Lifetime { bytes: random.random_range(1..5000), first, last: first + random.random_range(0..20) }
            };
            let lifetimes: Vec<Lifetime> = (0..count).map(one).collect();
            let (offsets, all) = lay_out(&lifetimes);
            for (index, this) in lifetimes.iter().enumerate() {
                assert!(offsets[index].is_multiple_of(ALIGNMENT) && offsets[index] + this.bytes <= all);
                for (other, that) in lifetimes.iter().enumerate().skip(index + 1) {
                    let is_apart =
                        offsets[index] + this.bytes <= offsets[other] || offsets[other] + that.bytes <= offsets[index];
                    assert!(is_apart || !this.meets(that), "{this:?} and {that:?} share a place");
                }
            }
        }
    }

    #[test]
    fn what_follows_takes_the_place_of_what_was_there() {
        let one = |first| Lifetime { bytes: ALIGNMENT, first, last: first + 1 };
        let (offsets, all) = lay_out(&(0..100).map(one).collect::<Vec<_>>());
        assert_eq!(all, 2 * ALIGNMENT);
        assert!(offsets.contains(&0) && offsets.contains(&ALIGNMENT));
    }
}
