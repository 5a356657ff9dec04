//! The system's package sources, read and never written: which archive is the distribution's own.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::capture;

/// One entry of the system's sources: an archive of binary packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uris: Vec<String>,
    pub(crate) suites: Vec<String>,
    pub(crate) components: Vec<String>,
    /// As written: paths of keyrings, or a whole key over several lines.
    pub(crate) signed_by: Option<String>,
}

/// The distribution, from os-release: what decides suite names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Distribution {
    pub(crate) codename: String,
    pub(crate) is_ubuntu: bool,
}

impl Distribution {
    pub(crate) fn of_this_machine() -> Result<Self> {
        let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        Self::parse(&text).context("/etc/os-release names no Debian or Ubuntu")
    }

    /// A derivative counts as what it derives from, if it says from which release.
    fn parse(text: &str) -> Option<Self> {
        let keys: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches(['"', '\''])))
            .collect();
        let key = |name: &str| keys.get(name).copied().unwrap_or_default();
        let family = format!("{} {}", key("ID"), key("ID_LIKE"));
        let is = |name: &str| family.split_whitespace().any(|word| word == name);
        if !is("debian") && !is("ubuntu") {
            return None;
        }
        let codename = ["UBUNTU_CODENAME", "DEBIAN_CODENAME", "VERSION_CODENAME"]
            .into_iter()
            .map(key)
            .find(|name| !name.is_empty())
            .unwrap_or("sid");
        Some(Self {
            codename: codename.to_owned(),
            is_ubuntu: is("ubuntu"),
        })
    }

    /// The entry that is the distribution's own archive: the one which offers its release.
    pub(crate) fn archive<'a>(&self, sources: &'a [Source]) -> Option<&'a Source> {
        let names = [self.codename.as_str(), "stable", "testing", "sid", "unstable"];
        names.iter().find_map(|name| {
            sources.iter().find(|source| {
                source.suites.iter().any(|suite| suite == name)
                    && source.components.iter().any(|component| component == "main")
            })
        })
    }
}

/// Everything that the system's apt is configured to read.
pub(crate) fn system_sources() -> Result<Vec<Source>> {
    let shown = capture(Command::new("apt-config").args([
        "shell",
        "LIST",
        "Dir::Etc::sourcelist/f",
        "PARTS",
        "Dir::Etc::sourceparts/d",
    ]))
    .context("apt is not at hand")?;
    let mut files = Vec::new();
    for line in shown.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let path = PathBuf::from(value.trim().trim_matches('\''));
        if name == "LIST" {
            files.push(path);
        } else if let Ok(entries) = fs::read_dir(&path) {
            let mut parts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            parts.sort();
            files.extend(parts);
        }
    }
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(one_line(&text)),
            Some("sources") => sources.extend(deb822(&text)),
            _ => {}
        }
    }
    Ok(sources)
}

/// The one-line format: `deb [option=value …] uri suite component …`.
fn one_line(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut rest = line
                .strip_prefix("deb")
                .filter(|rest| rest.starts_with([' ', '\t', '[']))?
                .trim();
            let mut signed_by = None;
            if let Some(bracketed) = rest.strip_prefix('[') {
                let (options, after) = bracketed.split_once(']')?;
                rest = after;
                signed_by = options.split_whitespace().find_map(|option| {
                    let (key, value) = option.split_once('=')?;
                    key.eq_ignore_ascii_case("signed-by")
                        .then(|| value.replace(',', " "))
                });
            }
            let mut words = rest.split_whitespace().map(str::to_owned);
            Some(Source {
                uris: vec![words.next()?],
                suites: vec![words.next()?],
                components: words.collect(),
                signed_by,
            })
        })
        .collect()
}

/// The deb822 format: stanzas of `Field: value`, values going on in indented lines.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: HashMap<String, String> = HashMap::new();
    let mut last = String::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(stanza(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = fields.get_mut(&last) {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            last = key.trim().to_ascii_lowercase();
            fields.insert(last.clone(), value.trim().to_owned());
        }
    }
    sources
}

fn stanza(fields: &HashMap<String, String>) -> Option<Source> {
    let words = |name: &str| -> Vec<String> {
        fields
            .get(name)
            .map(|value| value.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let is_off = fields
        .get("enabled")
        .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "no" | "false" | "off" | "0"));
    if is_off || !words("types").iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: fields.get("signed-by").cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Distribution, Source, deb822, one_line};

    fn source(uri: &str, suites: &[&str], components: &[&str], signed_by: Option<&str>) -> Source {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Source {
            uris: owned(&[uri]),
            suites: owned(suites),
            components: owned(components),
            signed_by: signed_by.map(str::to_owned),
        }
    }

    #[test]
    fn one_line_entries_are_read_with_their_options() {
        let text = "# a comment\n\
            deb http://m.example/debian bookworm main contrib # trailing\n\
            deb-src http://m.example/debian bookworm main\n\
            deb [ arch=amd64 signed-by=/k/a.gpg,/k/b.gpg ] https://m.example/x trixie main\n\
            deb broken\n";
        assert_eq!(
            one_line(text),
            [
                source(
                    "http://m.example/debian",
                    &["bookworm"],
                    &["main", "contrib"],
                    None
                ),
                source(
                    "https://m.example/x",
                    &["trixie"],
                    &["main"],
                    Some("/k/a.gpg /k/b.gpg")
                ),
            ]
        );
    }

    #[test]
    fn deb822_stanzas_are_read_and_disabled_ones_left_out() {
        let text = "Types: deb deb-src\n# http://elsewhere.example\nURIs: http://m.example/debian\n\
            Suites: bookworm bookworm-updates\ncomponents: main\nSigned-By: /k/a.gpg\n\n\
            Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\n\n\
            Types: deb-src\nURIs: http://src.example\nSuites: bookworm\nComponents: main\n";
        assert_eq!(
            deb822(text),
            [source(
                "http://m.example/debian",
                &["bookworm", "bookworm-updates"],
                &["main"],
                Some("/k/a.gpg")
            )]
        );
    }

    #[test]
    fn key_inside_of_a_stanza_is_kept_whole() {
        let key = "\n -----BEGIN-----\n .\n abc\n -----END-----";
        let text = format!("Types: deb\nURIs: u\nSuites: s\nComponents: main\nSigned-By:{key}\n");
        let found = deb822(&text);
        assert_eq!(found[0].signed_by.as_deref(), Some(key));
    }

    #[test]
    fn archive_is_the_entry_of_the_release_and_no_third_party() {
        let sources = [
            source("http://third.example", &["nodistro"], &["main"], None),
            source("http://security.example", &["bookworm-security"], &["main"], None),
            source(
                "http://m.example/debian",
                &["bookworm"],
                &["main", "contrib"],
                None,
            ),
        ];
        let debian = Distribution {
            codename: "bookworm".into(),
            is_ubuntu: false,
        };
        assert_eq!(debian.archive(&sources), Some(&sources[2]));
    }

    #[test]
    fn distribution_is_told_apart() {
        let debian = "ID=debian\nVERSION_CODENAME=bookworm\n";
        let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n";
        let rows = [
            (debian, Some(("bookworm", false))),
            ("ID=debian\n", Some(("sid", false))),
            (mint, Some(("noble", true))),
            ("ID=fedora\nVERSION_CODENAME=\"\"\n", None),
        ];
        for (text, expected) in rows {
            let found = Distribution::parse(text);
            assert_eq!(
                found.as_ref().map(|d| (d.codename.as_str(), d.is_ubuntu)),
                expected,
                "{text}"
            );
        }
    }
}
