//! Products of matrices by cuBLASLt: several one after the other, each written or added to where it belongs.

use std::{collections::HashMap, ffi::c_void};

use burn::tensor::DType;
use cudarc::cublaslt::{result as blas, sys as lt};

use super::{
    fp8::Narrowed,
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
    /// Where the right side is of [eight bits](super::fp8), the input with the factors of its rows.
    pub factors: Option<usize>,
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
            let address = numbers.address + (part.column * numbers.precision.size()) as u64;
            Matrix { address, stride }
        };
        let mut told: Vec<Told> = Vec::with_capacity(self.0.len());
        for product in &self.0 {
            let [left, right, to] = [product.left, product.right, product.to].map(matrix);
            let onto = match product.onto {
                Onto::Nothing => None,
                Onto::Itself => Some(to),
                Onto::Other(part) => Some(matrix(part)),
            };
            let [bias, factors] = [product.bias, product.factors].map(|input| input.map(|input| inputs[input].address));
            let (size, scale, sides) = (product.size, product.scale, product.sides);
            let multiplied = Multiplied { size, precision, scale, onto, sides, batch: None };
            let next = Told { multiplied, matrices: (left, right, to), bias, factors };
            match told.last_mut().and_then(|last| Some((last.with(&next)?, last))) {
                Some((both, last)) => *last = both,
                None => told.push(next),
            }
        }
        let told: Vec<(Told, Way)> = told.into_iter().map(|told| (told, told.way(lane))).collect();
        let (mut narrow, mut wide) = (0, 0);
        for (told, way) in &told {
            let [rows, columns, sum] = told.multiplied.size;
            match way {
                Way::AsItIs => {}
                Way::InFp8(_) => narrow += Narrowed::bytes([rows, sum]),
                Way::Widened(_) => wide = wide.max(columns * sum * precision.size()),
            }
        }
        let mut narrowed = Narrowed::new(lane, narrow, wide)?;
        told.into_iter().try_for_each(|(told, way)| told.begin(lane, way, &mut narrowed))
    }
}

/// How a product is computed, with the factors of a right side of eight bits.
#[derive(Clone, Copy)]
enum Way {
    /// Of what its sides are.
    AsItIs,
    /// Of eight bits: the left side is narrowed.
    InFp8(u64),
    /// Of 16 bits, on a card that has no such product: the right side is widened.
    Widened(u64),
}

/// A product and its matrices.
#[derive(Clone, Copy)]
struct Told {
    multiplied: Multiplied,
    /// Left, right, and the result.
    matrices: (Matrix, Matrix, Matrix),
    bias: Option<u64>,
    /// Of the right side's rows, which is of eight bits then.
    factors: Option<u64>,
}

impl Told {
    fn way(&self, lane: &mut Lane) -> Way {
        let Some(factors) = self.factors else { return Way::AsItIs };
        let (_, right, to) = self.matrices;
        let narrowed = Matrix { address: u64::from(ALIGNMENT), stride: self.multiplied.size[2] };
        let has_fp8 = self.multiplied.has_fp8(lane, (narrowed, right, to), self.bias);
        if has_fp8 { Way::InFp8(factors) } else { Way::Widened(factors) }
    }

    fn begin(&self, lane: &mut Lane, way: Way, narrowed: &mut Narrowed) -> Result<(), Failure> {
        let ((left, right, to), [rows, columns, sum]) = (self.matrices, self.multiplied.size);
        match way {
            Way::AsItIs => self.multiplied.begin(lane, self.matrices, self.bias),
            Way::InFp8(factors) => {
                let (left, of_rows) = narrowed.left(lane, left, [rows, sum])?;
                self.multiplied.begin_in_fp8(lane, (left, right, to), [of_rows, factors], self.bias)
            }
            Way::Widened(factors) => {
                let wide = narrowed.widened(lane, (right, factors), [columns, sum])?;
                self.multiplied.begin(lane, (left, wide, to), self.bias)
            }
        }
    }

    /// Both as one product, if the other has the same left side, and what it multiplies that with and what comes of it follow in
    /// memory: one wide product keeps a card busier than two.
    fn with(&self, other: &Self) -> Option<Self> {
        let (one, two) = (&self.multiplied, &other.multiplied);
        let ((left, right, to), (other_left, other_right, other_to)) = (self.matrices, other.matrices);
        let [rows, columns, sum] = one.size;
        let behind = |matrix: Matrix, bytes: usize| Matrix { address: matrix.address + bytes as u64, ..matrix };
        let after = |matrix: Matrix, numbers: usize| behind(matrix, numbers * one.precision.size());
        let of_rows = [rows, sum] == [two.size[0], two.size[2]] && one.scale == two.scale && left == other_left;
        let right_bytes = columns * right.stride * if self.factors.is_some() { 1 } else { one.precision.size() };
        let follow = other_right == behind(right, right_bytes)
            && other_to == after(to, columns)
            && other.factors == self.factors.map(|factors| factors + (columns * size_of::<f32>()) as u64);
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
    /// Whether both sides are of eight bits, with factors of their rows.
    is_fp8: bool,
}

/// How a kind of product is computed.
struct Plan {
    description: Description,
    /// Right, left, what the product is added to, and the result, as cuBLASLt counts them.
    layouts: [MatrixLayout; 4],
    algorithm: lt::cublasLtMatmulAlgo_t,
}

/// The kinds that are known by now; none for those that this card has no product for.
#[derive(Default)]
pub(super) struct Plans(HashMap<Kind, Option<Plan>>);

/// `CUBLAS_OP_N` and `CUBLAS_OP_T`.
const AS_IT_IS: i32 = 0;
const TRANSPOSED: i32 = 1;

/// More than this is not asked of an address.
pub(super) const ALIGNMENT: u32 = 256;

/// The first compute capability that multiplies numbers of eight bits; whether with a factor for every row, cuBLASLt says.
const WITH_FP8: (i32, i32) = (8, 9);

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
    /// Begins it.
    pub fn begin(&self, lane: &mut Lane, matrices: (Matrix, Matrix, Matrix), bias: Option<u64>) -> Result<(), Failure> {
        let kind = self.kind(matrices, bias.is_some(), false);
        if !lane.plans.0.contains_key(&kind) {
            let plan = self.plan(lane, &kind, bias)?;
            lane.plans.0.insert(kind, Some(plan));
        }
        self.begin_as(&kind, lane, matrices, bias, None)
    }

    /// Whether this card has it with both sides of eight bits.
    fn has_fp8(&self, lane: &mut Lane, matrices: (Matrix, Matrix, Matrix), bias: Option<u64>) -> bool {
        if lane.compute_capability < WITH_FP8 {
            return false;
        }
        let kind = self.kind(matrices, bias.is_some(), true);
        if !lane.plans.0.contains_key(&kind) {
            let plan = self.plan(lane, &kind, bias);
            if let Err(failure) = &plan {
                tracing::info!("A product of eight bits, {:?}, is computed of 16, because {failure}.", self.size);
            }
            lane.plans.0.insert(kind, plan.ok());
        }
        lane.plans.0[&kind].is_some()
    }

    /// Begins it with both sides of eight bits, whose rows have factors, left and right. The card [has](Self::has_fp8) it.
    fn begin_in_fp8(
        &self,
        lane: &mut Lane,
        matrices: (Matrix, Matrix, Matrix),
        factors: [u64; 2],
        bias: Option<u64>,
    ) -> Result<(), Failure> {
        let kind = self.kind(matrices, bias.is_some(), true);
        self.begin_as(&kind, lane, matrices, bias, Some(factors))
    }

    fn kind(&self, (left, right, to): (Matrix, Matrix, Matrix), has_bias: bool, is_fp8: bool) -> Kind {
        let alignment = |address: u64| 1u32 << address.trailing_zeros().min(ALIGNMENT.trailing_zeros());
        Kind {
            size: self.size,
            strides: [left, right, to].map(|matrix| matrix.stride),
            alignments: [left, right, to].map(|matrix| alignment(matrix.address)),
            is_half: self.precision == DType::BF16,
            has_bias,
            onto: self.onto.map(|onto| (onto.stride, alignment(onto.address), onto == to)),
            sides: self.sides,
            batch: self.batch,
            is_fp8,
        }
    }

    /// Begins it as a known kind. cuBLASLt counts columns first: to it the matrices are transposed, and `toᵀ = rightᵀ · leftᵀ`.
    fn begin_as(
        &self,
        kind: &Kind,
        lane: &mut Lane,
        (left, right, to): (Matrix, Matrix, Matrix),
        bias: Option<u64>,
        factors: Option<[u64; 2]>,
    ) -> Result<(), Failure> {
        let Some(Some(plan)) = lane.plans.0.get(kind) else { unreachable!("invariant: the kind has a plan") };
        if let Some(bias) = bias {
            plan.description.set_bias(bias)?;
        }
        if let Some(factors) = factors {
            plan.description.set_factors(factors)?;
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
        let description = Description::new(self.sides, bias, kind.is_fp8)?;
        let right_size = if self.sides == Sides::RightTransposed { (sum, columns) } else { (columns, sum) };
        let left_size = if self.sides == Sides::LeftTransposed { (rows, sum) } else { (sum, rows) };
        let (batch, distances) = self.batch.unwrap_or((1, [0; 3]));
        let [left, right, to] = kind.strides;
        let wide = number_of(self.precision);
        let number = if kind.is_fp8 { lt::cudaDataType_t::CUDA_R_8F_E4M3 } else { wide };
        let layout = |number, size, stride, distance| MatrixLayout::new(number, size, stride, (batch, distance));
        let layouts = [
            layout(number, right_size, right, distances[1])?,
            layout(number, left_size, left, distances[0])?,
            layout(wide, (columns, rows), kind.onto.map_or(to, |(stride, ..)| stride), distances[2])?,
            layout(wide, (columns, rows), to, distances[2])?,
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
    fn new(sides: Sides, bias: Option<u64>, is_fp8: bool) -> Result<Self, Failure> {
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
        if is_fp8 {
            let of_rows = lt::cublasLtMatmulMatrixScale_t::CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
            this.set(Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &of_rows)?;
            this.set(Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &of_rows)?;
            // Sums of tensor cores are kept to the end, instead of being added to others in between.
            this.set(Attribute::CUBLASLT_MATMUL_DESC_FAST_ACCUM, &1i8)?;
        }
        Ok(this)
    }

    /// Where the factors of the left and the right side's rows lie from now on.
    fn set_factors(&self, [left, right]: [u64; 2]) -> Result<(), Failure> {
        use lt::cublasLtMatmulDescAttributes_t as Attribute;
        self.set(Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &right)?;
        self.set(Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &left)
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

/// What cuBLASLt calls numbers of 16 and 32 bits.
fn number_of(precision: DType) -> lt::cudaDataType_t {
    if precision == DType::BF16 { lt::cudaDataType_t::CUDA_R_16BF } else { lt::cudaDataType_t::CUDA_R_32F }
}

/// Rows and columns of a matrix, as cuBLASLt counts them, and of those that follow it.
struct MatrixLayout(lt::cublasLtMatrixLayout_t);

impl MatrixLayout {
    fn new(
        number: lt::cudaDataType_t,
        (rows, columns): (usize, usize),
        stride: usize,
        (count, distance): (usize, usize),
    ) -> Result<Self, Failure> {
        use lt::cublasLtMatrixLayoutAttribute_t as Attribute;
        let this = Self(blas::create_matrix_layout(number, rows as u64, columns as u64, stride as i64)?);
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
