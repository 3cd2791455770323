//! The arguments of a kernel.

use std::ffi::c_void;

use super::{
    lane::{Failure, Kernel, Lane},
    operation::Numbers,
};

/// The arguments of a kernel, in their order.
#[derive(Default)]
pub(super) struct Arguments(Vec<u64>);

impl Arguments {
    /// Where numbers lie.
    pub fn address(self, numbers: &Numbers) -> Self {
        self.at(numbers.address)
    }

    /// An address, or 0 for nothing.
    pub fn at(mut self, address: u64) -> Self {
        self.0.push(address);
        self
    }

    /// A stream `[batch, tokens, width]`: its address and distances.
    pub fn stream(self, numbers: &Numbers) -> Self {
        let [batch, row] = [numbers.strides[0], numbers.strides[1]];
        self.address(numbers).wide(batch).wide(row)
    }

    /// A row for all, or one an entry: its address and the distance between entries.
    pub fn row_of_entry(self, numbers: &Numbers) -> Self {
        let distance = if numbers.shape[0] == 1 { 0 } else { numbers.strides[0] };
        self.address(numbers).wide(distance)
    }

    /// A number of 64 bits.
    pub fn wide(mut self, number: usize) -> Self {
        self.0.push(number as u64);
        self
    }

    /// A number of 32 bits, which is read from the first half of its place.
    pub fn narrow(mut self, number: usize) -> Self {
        self.0.push(u64::from(number as u32));
        self
    }

    /// A number of 32 bits with a fraction.
    pub fn float(mut self, number: f32) -> Self {
        self.0.push(u64::from(number.to_bits()));
        self
    }

    /// Begins a kernel with them.
    ///
    /// # Safety
    /// They are those that the kernel takes.
    pub unsafe fn launch(mut self, lane: &mut Lane, kernel: &Kernel<'_>, grid: [usize; 3]) -> Result<(), Failure> {
        let mut arguments: Vec<*mut c_void> = self.0.iter_mut().map(|value| (&raw mut *value).cast()).collect();
        // SAFETY: the caller's promise; a place of 64 bits, little end first, holds a number of 32 bits as well.
        unsafe { lane.launch(kernel, grid, &mut arguments) }
    }
}
