//! What `explain` reads, and that it has an answer for everything.

use super::{Register, json, parse};

fn value(text: &str) -> Result<u64, String> {
    parse(text).map(|parsed| parsed.value)
}

#[test]
fn values_are_read_as_people_paste_them() {
    for text in [
        "0xbe001811",
        "be001811",
        "BE001811",
        "0XBE00_1811",
        " 0xbe001811\n",
        "\"0xbe001811\",",
        "0x00000000be001811",
        "(be00_1811)",
    ] {
        assert_eq!(value(text), Ok(0xbe00_1811), "{text}");
    }
    assert_eq!(value("0"), Ok(0));
    assert_eq!(value("ffffffffffffffff"), Ok(u64::MAX));
    assert_eq!(value("0000000000000000000000000001"), Ok(1));
}

#[test]
fn digits_that_could_be_decimal_are_hexadecimal_with_a_word_of_caution() {
    let parsed = parse("96000010").unwrap();
    assert_eq!(parsed.value, 0x9600_0010);
    assert_eq!(
        parsed.note.as_deref(),
        Some("read as hexadecimal, 0x96000010; if it is decimal, ask for 0x5b8d80a")
    );
    assert_eq!(parse("0x96000010").unwrap().note, None);
    let long = parse("18446744073709551615").unwrap();
    assert_eq!(
        (long.value, long.note.as_deref()),
        (u64::MAX, Some("read as decimal: 0xffffffffffffffff"))
    );
}

#[test]
fn what_is_no_value_says_why() {
    assert_eq!(value(""), Err("there is no value".into()));
    assert_eq!(value("0x"), Err("there is no value".into()));
    assert_eq!(value("esr"), Err("`s` is not a hexadecimal digit".into()));
    assert_eq!(value("-1"), Err("`-` is not a hexadecimal digit".into()));
    assert_eq!(
        value("0x1\x1b2"),
        Err("`\\u{1b}` is not a hexadecimal digit".into())
    );
    assert_eq!(
        value("0x1ffffffffffffffff"),
        Err("17 hexadecimal digits are more than 64 bits".into())
    );
}

fn object(register: Register, value: u64) -> serde_json::Map<String, serde_json::Value> {
    json(register, value, &register.explain(value))
        .as_object()
        .unwrap()
        .clone()
}

#[test]
fn a_corrected_serror_says_so() {
    let json = object(Register::Esr, 0xbe00_1811);
    assert_eq!(json["severity"], "corrected");
    assert!(json["summary"].as_str().unwrap().contains("corrected"));
    for (key, number) in [
        ("ec", 0x2f),
        ("il", 1),
        ("ids", 0),
        ("aet", 6),
        ("ea", 0),
        ("dfsc", 0x11),
        ("iesb", 0),
        ("iss", 0x1811),
    ] {
        assert_eq!(json[key], number, "{key}");
    }
    for key in ["fsc", "set", "fnv", "cm", "s1ptw", "wnr", "a"] {
        assert!(json[key].is_null(), "{key}");
    }
}

#[test]
fn a_data_abort_has_its_own_fields() {
    let json = object(Register::Esr, 0x9200_0010);
    assert_eq!(
        (&json["class"], &json["severity"]),
        (
            &"Data Abort from a lower Exception level".into(),
            &"recoverable".into()
        )
    );
    for (key, number) in [
        ("ec", 0x24),
        ("fsc", 0x10),
        ("set", 0),
        ("fnv", 0),
        ("ea", 0),
        ("cm", 0),
        ("s1ptw", 0),
        ("wnr", 0),
    ] {
        assert_eq!(json[key], number, "{key}");
    }
    for key in ["ids", "aet", "dfsc", "iesb"] {
        assert!(json[key].is_null(), "{key}");
    }
}

#[test]
fn a_deferred_serror_is_read_as_disr() {
    let json = object(Register::Disr, 0x8000_0c11);
    assert_eq!(
        (json["a"].clone(), json["aet"].clone(), json["severity"].clone()),
        (1.into(), 3.into(), "recoverable".into())
    );
    assert!(json["ec"].is_null() && json["iss"].is_null());
}

fn drawn(register: Register, value: u64, width: Option<usize>) -> String {
    let mut out = Vec::new();
    let explanation = register.explain(value);
    super::diagram::draw(register.name(), value, &explanation, width, &mut out).unwrap();
    anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string()
}

#[test]
fn every_value_has_the_same_keys_and_a_drawing_that_covers_each_bit() {
    let keys: Vec<String> = object(Register::Esr, 0).keys().cloned().collect();
    let mut state = 1_u64;
    for round in 0..10_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Half of them in the classes that matter: random bits alone rarely are an abort.
        let class = [0x20, 0x21, 0x24, 0x25, 0x2f][usize::try_from(round % 5).unwrap()];
        let value = if round % 2 == 0 {
            state
        } else {
            state & !(0x3f << 26) | class << 26
        };
        for register in [Register::Esr, Register::Disr] {
            assert_eq!(object(register, value).keys().cloned().collect::<Vec<_>>(), keys);
            if round % 16 > 1 {
                continue;
            }
            let width = [None, Some(60), Some(80)][usize::try_from(round % 3).unwrap()];
            let text = drawn(register, value, width);
            for line in text.lines() {
                assert!(width.is_none_or(|width| line.chars().count() <= width), "{line}");
            }
            let rows = text
                .lines()
                .filter_map(|line| line.strip_prefix("bits "))
                .map(|line| &line[7..]);
            let bits: String = rows
                .flat_map(str::chars)
                .filter(|bit| matches!(bit, '0' | '1'))
                .collect();
            assert_eq!(bits, format!("{value:064b}"), "{text}");
        }
    }
}

#[test]
fn an_explanation_is_no_wider_than_its_stream_and_says_the_same_in_any() {
    let samples = [
        (Register::Esr, 0xbe00_1811),
        (Register::Esr, 0x9200_0010),
        (Register::Esr, 0x8200_0010),
        (Register::Esr, 0x9300_0050),
        (Register::Esr, u64::MAX),
        (Register::Esr, 0),
        (Register::Disr, 0x8000_0c11),
        (Register::Disr, u64::MAX),
    ];
    for (register, value) in samples {
        let explanation = register.explain(value);
        for width in [60, 80, 140] {
            let text = drawn(register, value, Some(width));
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(!line.ends_with(' '), "{line:?}");
            }
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(&explanation.summary.to_string()), "{width}: {text}");
            for field in explanation.fields.as_slice() {
                if field.absent.is_none() && field.name != "res0" {
                    assert!(flat.contains(field.name), "{width}: {} in {text}", field.name);
                }
            }
        }
    }
}

#[test]
fn fields_are_drawn_where_they_fit_and_else_told_in_a_table() {
    let (drawing, table) = (
        drawn(Register::Esr, 0xbe00_1811, Some(140)),
        drawn(Register::Esr, 0xbe00_1811, Some(80)),
    );
    assert!(
        drawing.contains("╰─") && !drawing.contains("field  bits"),
        "{drawing}"
    );
    assert_eq!(
        drawn(Register::Esr, 0xbe00_1811, None)
            .lines()
            .take(17)
            .collect::<Vec<_>>(),
        drawing.lines().take(17).collect::<Vec<_>>()
    );
    assert!(!table.contains('╰'), "{table}");
    for line in [
        "bits 31:0   101111 1 0 00000 0 00 0 0 0 110 0 0 0 0 010001",
        "field  bits   value  meaning",
        "ec     31:26  0x2f   SError exception",
        "wnr    6      0      – WnRV is 0",
    ] {
        assert!(table.lines().any(|drawn| drawn == line), "{line} in {table}");
    }
}
