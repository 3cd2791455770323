//! Products of matrices by cuBLASLt: several one after the other, each written or added to where it belongs.

use std::{collections::HashMap, ffi::c_void};

use burn::tensor::DType;
use cudarc::cublaslt::{result as blas, sys as lt};

use super::{
    lane::{Failure, Lane, WORKSPACE},
    operation::{Computation, Numbers},
};

/// A matrix among the tensors of a computation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Input(usize),
    Output(usize),
}

/// A matrix, or its columns from one on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub place: Place,
    pub column: usize,
}

impl Part {
    /// All of it.
    pub fn whole(place: Place) -> Self {
        Self { place, column: 0 }
    }
}

/// Which sides of a product lie in memory with rows for columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sides {
    /// Neither: `left · right`.
    AsTheyAre,
    /// `leftᵀ · right`.
    LeftTransposed,
    /// `left · rightᵀ`.
    RightTransposed,
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Onto {
    Nothing,
    /// What lies where it is written.
    Itself,
    /// Another matrix of the same size.
    Other(Part),
}

/// `to = scale · left · right + bias`, onto something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub left: Part,
    pub right: Part,
    pub sides: Sides,
    pub to: Part,
    /// Rows and columns of `to`, and the numbers of each sum.
    pub size: [usize; 3],
    pub scale: f32,
    /// An input.
    pub bias: Option<usize>,
    pub onto: Onto,
}

/// The products of a layer, in their order.
#[derive(Debug)]
pub(super) struct Products(pub Vec<Product>);

/// cuBLASLt's fast products want rows that begin at 16 bytes.
pub(super) const MULTIPLE: usize = 8;

/// Products that are written to one place, as a sum: the first is added to something, and the others to those before.
pub(super) fn one_onto_the_other(mut products: Vec<Product>, first: Onto) -> Vec<Product> {
    for (number, product) in products.iter_mut().enumerate() {
        product.onto = if number == 0 { first } else { Onto::Itself };
    }
    products
}

impl Computation for Products {
    fn begin(&self, lane: &mut Lane, inputs: &[Numbers], outputs: &[Numbers]) -> Result<(), Failure> {
        let precision = outputs[0].precision;
        let matrix = |part: Part| {
            let numbers = match part.place {
                Place::Input(index) => &inputs[index],
                Place::Output(index) => &outputs[index],
            };
            let stride = numbers.strides[0];
            let address = numbers.address + (part.column * precision.size()) as u64;
            Matrix { address, stride }
        };
        let mut waiting: Option<Told> = None;
        for product in &self.0 {
            let [left, right, to] = [product.left, product.right, product.to].map(matrix);
            let onto = match product.onto {
                Onto::Nothing => None,
                Onto::Itself => Some(to),
                Onto::Other(part) => Some(matrix(part)),
            };
            let bias = product.bias.map(|input| inputs[input].address);
            let (size, scale, sides) = (product.size, product.scale, product.sides);
            let multiplied = Multiplied { size, precision, scale, onto, sides, batch: None };
            let next = Told { multiplied, matrices: (left, right, to), bias };
            waiting = match waiting.take() {
                None => Some(next),
                Some(before) => match before.with(&next) {
                    Some(both) => Some(both),
                    None => {
                        before.begin(lane)?;
                        Some(next)
                    }
                },
            };
        }
        waiting.map_or(Ok(()), |last| last.begin(lane))
    }
}

/// A product and its matrices.
#[derive(Clone, Copy)]
struct Told {
    multiplied: Multiplied,
    /// Left, right, and the result.
    matrices: (Matrix, Matrix, Matrix),
    bias: Option<u64>,
}

impl Told {
    fn begin(&self, lane: &mut Lane) -> Result<(), Failure> {
        self.multiplied.begin(lane, self.matrices, self.bias)
    }

    /// Both as one product, if the other has the same left side, and what it multiplies that with and what comes of it follow in
    /// memory: one wide product keeps a card busier than two.
    fn with(&self, other: &Self) -> Option<Self> {
        let (one, two) = (&self.multiplied, &other.multiplied);
        let ((left, right, to), (other_left, other_right, other_to)) = (self.matrices, other.matrices);
        let [rows, columns, sum] = one.size;
        let after = |matrix: Matrix, numbers: usize| Matrix {
            address: matrix.address + (numbers * one.precision.size()) as u64,
            ..matrix
        };
        let of_rows = [rows, sum] == [two.size[0], two.size[2]] && one.scale == two.scale && left == other_left;
        let follow = other_right == after(right, columns * right.stride) && other_to == after(to, columns);
        let onto = one.onto.map(|onto| after(onto, columns)) == two.onto;
        let are_plain = self.bias.is_none() && other.bias.is_none() && one.batch.is_none() && two.batch.is_none();
        let sides = one.sides == Sides::RightTransposed && two.sides == Sides::RightTransposed;
        let size = [rows, columns + two.size[1], sum];
        let both = Self { multiplied: Multiplied { size, ..*one }, ..*self };
        // The results of both lie in the same rows, and not one behind the other.
        let fit = size[1] <= to.stride;
        (of_rows && follow && fit && onto && are_plain && sides).then_some(both)
    }
}

/// A matrix in memory, row by row.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Matrix {
    /// Its address.
    pub address: u64,
    /// Numbers between rows.
    pub stride: usize,
}

/// As many matrices as there are heads.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    /// The first head's.
    pub matrix: Matrix,
    /// Numbers between one head's and the next.
    pub distance: usize,
}

/// `to = left · right` of every head.
pub(super) struct BatchedProduct {
    /// Rows and columns of the result, and the numbers of each sum.
    pub size: [usize; 3],
    /// How many.
    pub heads: usize,
    /// Of all numbers.
    pub precision: DType,
    /// How the sides lie in memory.
    pub sides: Sides,
}

impl BatchedProduct {
    /// Begins the products.
    pub fn begin(&self, lane: &mut Lane, (left, right, to): (Heads, Heads, Heads)) -> Result<(), Failure> {
        let multiplied = Multiplied {
            size: self.size,
            precision: self.precision,
            scale: 1.0,
            onto: None,
            sides: self.sides,
            batch: Some((self.heads, [left.distance, right.distance, to.distance])),
        };
        multiplied.begin(lane, (left.matrix, right.matrix, to.matrix), None)
    }
}

/// What decides how a product is computed best.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    size: [usize; 3],
    strides: [usize; 3],
    /// Powers of two that the addresses are multiples of.
    alignments: [u32; 3],
    is_half: bool,
    has_bias: bool,
    /// Stride and alignment of what it is added to, and whether that is the result itself.
    onto: Option<(usize, u32, bool)>,
    sides: Sides,
    batch: Option<(usize, [usize; 3])>,
}

/// How a kind of product is computed.
struct Plan {
    description: Description,
    /// Right, left, what the product is added to, and the result, as cuBLASLt counts them.
    layouts: [MatrixLayout; 4],
    algorithm: lt::cublasLtMatmulAlgo_t,
}

/// The kinds that are known by now.
#[derive(Default)]
pub(super) struct Plans(HashMap<Kind, Plan>);

/// `CUBLAS_OP_N` and `CUBLAS_OP_T`.
const AS_IT_IS: i32 = 0;
const TRANSPOSED: i32 = 1;

/// More than this is not asked of an address.
const ALIGNMENT: u32 = 256;

/// One product, or one of every head.
#[derive(Clone, Copy)]
pub(super) struct Multiplied {
    /// Rows and columns of the result, and the numbers of each sum.
    pub size: [usize; 3],
    /// Of all numbers.
    pub precision: DType,
    /// What the sums are multiplied by.
    pub scale: f32,
    /// What they are added to, which may be the result.
    pub onto: Option<Matrix>,
    /// How the sides lie in memory.
    pub sides: Sides,
    /// How many, and the distances of left, right and result.
    pub batch: Option<(usize, [usize; 3])>,
}

impl Multiplied {
    /// Begins it. cuBLASLt counts columns first: to it the matrices are transposed, and `toᵀ = rightᵀ · leftᵀ`.
    pub fn begin(
        &self,
        lane: &mut Lane,
        (left, right, to): (Matrix, Matrix, Matrix),
        bias: Option<u64>,
    ) -> Result<(), Failure> {
        let alignment = |address: u64| 1u32 << address.trailing_zeros().min(ALIGNMENT.trailing_zeros());
        let kind = Kind {
            size: self.size,
            strides: [left, right, to].map(|matrix| matrix.stride),
            alignments: [left, right, to].map(|matrix| alignment(matrix.address)),
            is_half: self.precision == DType::BF16,
            has_bias: bias.is_some(),
            onto: self.onto.map(|onto| (onto.stride, alignment(onto.address), onto == to)),
            sides: self.sides,
            batch: self.batch,
        };
        if !lane.plans.0.contains_key(&kind) {
            let plan = self.plan(lane, &kind, bias)?;
            lane.plans.0.insert(kind, plan);
        }
        let plan = &lane.plans.0[&kind];
        if let Some(bias) = bias {
            plan.description.set_bias(bias)?;
        }
        let (alpha, beta) = (self.scale, f32::from(u8::from(self.onto.is_some())));
        let onto = self.onto.unwrap_or(to);
        let pointer = |address: u64| address as *const c_void;
        // SAFETY: the layouts describe the matrices, whose memory burn keeps until the card has done what it was told.
        unsafe {
            blas::matmul(
                lane.blas,
                plan.description.0,
                (&raw const alpha).cast(),
                (&raw const beta).cast(),
                pointer(right.address),
                plan.layouts[0].0,
                pointer(left.address),
                plan.layouts[1].0,
                pointer(onto.address),
                plan.layouts[2].0,
                to.address as *mut c_void,
                plan.layouts[3].0,
                &raw const plan.algorithm,
                lane.workspace.0 as *mut c_void,
                lane.workspace.1,
                lane.stream(),
            )?;
        }
        Ok(())
    }

    fn plan(&self, lane: &Lane, kind: &Kind, bias: Option<u64>) -> Result<Plan, Failure> {
        let [rows, columns, sum] = self.size;
        let description = Description::new(self.sides, bias)?;
        let right_size = if self.sides == Sides::RightTransposed { (sum, columns) } else { (columns, sum) };
        let left_size = if self.sides == Sides::LeftTransposed { (rows, sum) } else { (sum, rows) };
        let (batch, distances) = self.batch.unwrap_or((1, [0; 3]));
        let [left, right, to] = kind.strides;
        let layout = |size, stride, distance| MatrixLayout::new(size, stride, self.precision, (batch, distance));
        let layouts = [
            layout(right_size, right, distances[1])?,
            layout(left_size, left, distances[0])?,
            layout((columns, rows), kind.onto.map_or(to, |(stride, ..)| stride), distances[2])?,
            layout((columns, rows), to, distances[2])?,
        ];
        let algorithm = choose(lane, &description, &layouts, kind)?;
        Ok(Plan { description, layouts, algorithm })
    }
}

/// Asks cuBLASLt how it would compute a product.
fn choose(
    lane: &Lane,
    description: &Description,
    layouts: &[MatrixLayout; 4],
    kind: &Kind,
) -> Result<lt::cublasLtMatmulAlgo_t, Failure> {
    use lt::cublasLtMatmulPreferenceAttributes_t as Attribute;
    let preference = blas::create_matmul_pref()?;
    let [left, right, to] = kind.alignments;
    let onto = kind.onto.map_or(to, |(_, alignment, _)| alignment);
    let wishes: [(Attribute, u64); 5] = [
        (Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, WORKSPACE as u64),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, right.into()),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, left.into()),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, onto.into()),
        (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, to.into()),
    ];
    // SAFETY: each attribute is read from a number of its own width; handles are this function's and its caller's.
    unsafe {
        for (attribute, value) in wishes {
            let narrow = value as u32;
            let is_wide = attribute == Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
            let (from, bytes): (*const c_void, usize) =
                if is_wide { ((&raw const value).cast(), 8) } else { ((&raw const narrow).cast(), 4) };
            blas::set_matmul_pref_attribute(preference, attribute, from, bytes)?;
        }
        let [a, b, c, d] = layouts.each_ref().map(|layout| layout.0);
        let found = blas::get_matmul_algo_heuristic(lane.blas, description.0, a, b, c, d, preference);
        blas::destroy_matmul_pref(preference)?;
        Ok(found?.algo)
    }
}

/// Which product is computed, beside its matrices.
struct Description(lt::cublasLtMatmulDesc_t);

impl Description {
    fn new(sides: Sides, bias: Option<u64>) -> Result<Self, Failure> {
        use lt::cublasLtMatmulDescAttributes_t as Attribute;
        let this = Self(blas::create_matmul_desc(
            lt::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            lt::cudaDataType_t::CUDA_R_32F,
        )?);
        let of = |is_transposed| if is_transposed { TRANSPOSED } else { AS_IT_IS };
        this.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &of(sides == Sides::RightTransposed))?;
        this.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &of(sides == Sides::LeftTransposed))?;
        if let Some(bias) = bias {
            this.set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &lt::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS)?;
            this.set_bias(bias)?;
        }
        Ok(this)
    }

    /// Where the bias lies from now on: products that were told before have read where it lay.
    fn set_bias(&self, bias: u64) -> Result<(), Failure> {
        self.set(lt::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)
    }

    fn set<T>(&self, attribute: lt::cublasLtMatmulDescAttributes_t, value: &T) -> Result<(), Failure> {
        // SAFETY: the attribute is read from a value of its own type, here and now.
        unsafe { Ok(blas::set_matmul_desc_attribute(self.0, attribute, (&raw const *value).cast(), size_of::<T>())?) }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: it was created and is not used any more. That it could not be destroyed changes nothing.
        let _ = unsafe { blas::destroy_matmul_desc(self.0) };
    }
}

/// Rows and columns of a matrix, as cuBLASLt counts them, and of those that follow it.
struct MatrixLayout(lt::cublasLtMatrixLayout_t);

impl MatrixLayout {
    fn new(
        (rows, columns): (usize, usize),
        stride: usize,
        precision: DType,
        (count, distance): (usize, usize),
    ) -> Result<Self, Failure> {
        use lt::cublasLtMatrixLayoutAttribute_t as Attribute;
        let kind =
            if precision == DType::BF16 { lt::cudaDataType_t::CUDA_R_16BF } else { lt::cudaDataType_t::CUDA_R_32F };
        let this = Self(blas::create_matrix_layout(kind, rows as u64, columns as u64, stride as i64)?);
        if count > 1 {
            let (count, distance) = (count as i32, distance as i64);
            // SAFETY: each attribute is read from a number of its own width, here and now.
            unsafe {
                let set = blas::set_matrix_layout_attribute;
                set(this.0, Attribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, (&raw const count).cast(), 4)?;
                set(this.0, Attribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, (&raw const distance).cast(), 8)?;
            }
        }
        Ok(this)
    }
}

impl Drop for MatrixLayout {
    fn drop(&mut self) {
        // SAFETY: it was created and is not used any more. That it could not be destroyed changes nothing.
        let _ = unsafe { blas::destroy_matrix_layout(self.0) };
    }
}
