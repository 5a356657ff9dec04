//! Drawing: aborts, SErrors and `DISR_EL1` as fields. The accessors decide what is there; here it only gets its text.

use super::field::{Fields, either};
use super::{
    Abort, AbortKind, AsynchronousErrorType, Disr, SError, SErrorStatus, SynchronousErrorType, WriteUpdate,
};

impl Abort {
    /// Bits 24:0 as fields.
    pub(super) fn draw(self, fields: &mut Fields) {
        match self.kind {
            AbortKind::Data => self.draw_data_high(fields),
            AbortKind::Instruction => {
                fields.reserved((24, 15));
                fields.optional("pfv", (14, 14), self.pfv().map(pfv_text), NOT_EXTERNAL);
                fields.reserved((13, 13));
            }
        }
        fields.optional(
            "set",
            (12, 11),
            self.set().map(SynchronousErrorType::meaning),
            NO_SET,
        );
        let fnv = self.fnv().map(|v| either(v, "FAR is valid", "FAR is not valid"));
        fields.optional(
            "fnv",
            (10, 10),
            fnv,
            "FnV is defined for code 0x10 alone; the FAR is valid",
        );
        let ea = self
            .ea()
            .map(|_| "IMPLEMENTATION DEFINED class of external abort");
        fields.optional("ea", (9, 9), ea, NOT_EXTERNAL);
        let cm = self.cm().map(|v| {
            either(
                v,
                "not cache maintenance",
                "cache maintenance or address translation",
            )
        });
        match cm {
            Some(meaning) => fields.means("cm", (8, 8), meaning),
            None => fields.reserved((8, 8)),
        }
        let s1ptw = either(
            self.s1ptw() == Some(true),
            "not on a stage 2 walk for stage 1",
            "stage 2 fault on a stage 1 walk",
        );
        fields.means("s1ptw", (7, 7), s1ptw);
        if self.is_data() {
            let wnr = self.wnr().map(|v| either(v, "read", "write"));
            fields.optional("wnr", (6, 6), wnr, "UNKNOWN for codes 0x31 and 0x35");
        } else {
            fields.reserved((6, 6));
        }
        fields.means("fsc", (5, 0), self.fsc().meaning());
    }

    /// Bits 24:13 of a data abort: the instruction's syndrome, or the fields that stand in its place.
    fn draw_data_high(self, fields: &mut Fields) {
        let isv = either(
            self.isv() == Some(true),
            "no instruction syndrome",
            "bits 23:14 describe the instruction",
        );
        fields.means("isv", (24, 24), isv);
        let sas = self.sas().map(|v| match v {
            0 => "byte",
            1 => "halfword",
            2 => "word",
            _ => "doubleword",
        });
        fields.optional("sas", (23, 22), sas, NO_SYNDROME);
        let sse = self
            .sse()
            .map(|v| either(v, "not sign-extended", "sign-extended"));
        fields.optional("sse", (21, 21), sse, NO_SYNDROME);
        fields.optional(
            "srt",
            (20, 16),
            self.srt().map(|_| "number of the register"),
            NO_SYNDROME,
        );
        let syndrome = self.isv() == Some(true);
        fields.optional(
            "wu",
            (17, 16),
            self.wu().map(WriteUpdate::meaning),
            if syndrome { SYNDROME } else { NOT_EXTERNAL },
        );
        let sf = self.sf().map(|v| either(v, "32-bit register", "64-bit register"));
        fields.optional("sf", (15, 15), sf, NO_SYNDROME);
        let fnp = self
            .fnp()
            .map(|v| either(v, "FAR is the faulting address", "FAR is in the same granule"));
        fields.optional(
            "fnp",
            (15, 15),
            fnp,
            if syndrome {
                SYNDROME
            } else {
                "there is no valid FAR"
            },
        );
        let ar = self
            .ar()
            .map(|v| either(v, "no acquire or release", "acquire or release"));
        fields.optional("ar", (14, 14), ar, NO_SYNDROME);
        let pfv = self.pfv().map(pfv_text);
        fields.optional(
            "pfv",
            (14, 14),
            pfv,
            if syndrome { SYNDROME } else { NOT_EXTERNAL },
        );
        let vncr = either(
            self.vncr() == Some(true),
            "not through VNCR_EL2",
            "through VNCR_EL2",
        );
        fields.means("vncr", (13, 13), vncr);
    }
}

impl SError {
    /// Bits 24:0 as fields.
    pub(super) fn draw(self, fields: &mut Fields) {
        let why = if self.ids() { IDS } else { NOT_ASYNCHRONOUS };
        draw_ids(fields, self.ids());
        fields.reserved((23, 19));
        let els = self.els().map(|v| {
            either(
                v,
                "not tied to the instruction at ELR",
                "triggered by the instruction at ELR",
            )
        });
        fields.optional("els", (18, 18), els, why);
        fields.optional("wu", (17, 16), self.wu().map(WriteUpdate::meaning), why);
        let vfv = self.vfv().map(|v| either(v, "FAR is not valid", "FAR is valid"));
        fields.optional("vfv", (15, 15), vfv, why);
        let pfv = self
            .pfv()
            .map(|v| either(v, "PFAR is not valid", "PFAR is valid"));
        fields.optional("pfv", (14, 14), pfv, why);
        let iesb = self.iesb().map(|v| {
            either(
                v,
                "not by an implicit error synchronisation event",
                "by an implicit error synchronisation event",
            )
        });
        fields.optional("iesb", (13, 13), iesb, why);
        draw_low(
            fields,
            &Low {
                aet: self.aet(),
                ea: self.ea(),
                wnrv: self.wnrv(),
                wnr: self.wnr(),
            },
            why,
        );
        fields.optional("dfsc", (5, 0), self.dfsc().map(SErrorStatus::meaning), IDS);
    }
}

impl Disr {
    /// The whole register as fields, highest bit first.
    #[must_use]
    pub fn fields(self) -> Fields {
        let mut fields = Fields::new(self.0);
        let why = match self.ids() {
            None => NOT_PENDING,
            Some(true) => IDS,
            Some(false) => NOT_ASYNCHRONOUS,
        };
        fields.reserved((63, 32));
        fields.means(
            "a",
            (31, 31),
            either(self.a(), "no SError was deferred", "an SError was deferred"),
        );
        fields.reserved((30, 25));
        match self.ids() {
            Some(ids) => draw_ids(&mut fields, ids),
            None => fields.absent("ids", (24, 24), NOT_PENDING),
        }
        fields.reserved((23, 18));
        fields.optional("wu", (17, 16), self.wu().map(WriteUpdate::meaning), why);
        fields.reserved((15, 13));
        draw_low(
            &mut fields,
            &Low {
                aet: self.aet(),
                ea: self.ea(),
                wnrv: self.wnrv(),
                wnr: self.wnr(),
            },
            why,
        );
        fields.optional("dfsc", (5, 0), self.dfsc().map(SErrorStatus::meaning), why);
        fields
    }
}

const NO_SET: &str = "SET is defined for codes 0x10 and 0x12 to 0x17 alone";
const NOT_EXTERNAL: &str = "defined for external aborts alone";
const NO_SYNDROME: &str = "ISV is 0: there is no instruction syndrome";
const SYNDROME: &str = "ISV is 1: the bits describe the instruction";

const fn pfv_text(valid: bool) -> &'static str {
    either(valid, "PFAR is not valid", "PFAR is valid")
}

const IDS: &str = "IDS is 1: the rest is IMPLEMENTATION DEFINED";
const NOT_ASYNCHRONOUS: &str = "defined when DFSC is 0x11 alone";
const NOT_PENDING: &str = "A is 0: nothing was deferred";

/// `IDS`, and the bits below it where they are the implementation's own.
fn draw_ids(fields: &mut Fields, ids: bool) {
    fields.means(
        "ids",
        (24, 24),
        either(ids, "architectural syndrome", "IMPLEMENTATION DEFINED syndrome"),
    );
    if ids {
        fields.number("impdef", (23, 0));
    }
}

/// The fields in bits 12:6, which SErrors taken and deferred have in common.
struct Low {
    aet: Option<AsynchronousErrorType>,
    ea: Option<bool>,
    wnrv: Option<bool>,
    wnr: Option<bool>,
}

fn draw_low(fields: &mut Fields, low: &Low, why: &'static str) {
    fields.optional("aet", (12, 10), low.aet.map(AsynchronousErrorType::meaning), why);
    fields.optional(
        "ea",
        (9, 9),
        low.ea.map(|_| "IMPLEMENTATION DEFINED class of external abort"),
        why,
    );
    fields.reserved((8, 8));
    fields.optional(
        "wnrv",
        (7, 7),
        low.wnrv.map(|v| either(v, "WnR is not valid", "WnR is valid")),
        why,
    );
    let no_wnr = if low.wnrv.is_some() { "WnRV is 0" } else { why };
    fields.optional("wnr", (6, 6), low.wnr.map(|v| either(v, "read", "write")), no_wnr);
}
