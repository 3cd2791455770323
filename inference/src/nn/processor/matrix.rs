//! Products of matrices that lie anywhere in memory.

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Numbers from one row to the next, and from one column to the next.
    strides: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// `rows` rows of `columns` numbers, one `stride` numbers after the other.
    pub fn new(values: &'a [f32], (rows, columns): (usize, usize), stride: usize) -> Self {
        assert!(rows > 0 && columns > 0 && (rows - 1) * stride + columns <= values.len(), "a matrix lies in its slice");
        Self { values, rows, columns, strides: (stride, 1) }
    }

    /// Its rows.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Its columns.
    pub fn columns(self) -> usize {
        self.columns
    }

    /// Rows for columns.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, strides: (self.strides.1, self.strides.0), ..self }
    }
}

/// How a product is written.
#[derive(Clone, Copy)]
pub(super) struct Written {
    /// Numbers from one row of the result to the next.
    pub stride: usize,
    /// Multiplies the product.
    pub scale: f32,
    /// Added to what is there, or in its place.
    pub adds: bool,
    /// On all threads, or on this one.
    pub everywhere: bool,
}

/// `output = scale · left · right`, or that added to it.
#[allow(
    unsafe_code,
    reason = "the product of a well-known crate takes pointers; the slices behind them are checked here"
)]
pub(super) fn multiply(output: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, written: Written) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    assert_eq!(inner, right.rows, "matrices that are multiplied fit each other");
    assert!((rows - 1) * written.stride + columns <= output.len(), "a product has room");
    let threads = if written.everywhere { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    let stride = |strides: usize| strides as isize;
    // SAFETY: the largest index of each matrix was checked against its slice, here and in `Matrix::new`; the output is
    // borrowed for writing, so that it overlaps neither.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            output.as_mut_ptr(),
            1,
            stride(written.stride),
            written.adds,
            left.values.as_ptr(),
            stride(left.strides.1),
            stride(left.strides.0),
            right.values.as_ptr(),
            stride(right.strides.1),
            stride(right.strides.0),
            1.0,
            written.scale,
            false,
            false,
            false,
            threads,
        );
    }
}
