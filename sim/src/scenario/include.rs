//! `include`: what a scenario takes over from other scenario files, its fragments.
//!
//! Lists of a fragment stand before those of the file that includes it; anything else is taken where that file
//! has none, and of several fragments the last one's. Everything keeps its place, so that messages name the
//! fragment, and every path in it is relative to it.

use std::path::Path;

use wavetank_control::config::SourceFile;
use wavetank_control::config::yaml::{Entry, Limits, Mapping, Node, Value, parse as parse_yaml};
use wavetank_control::diagnostic::Span;

use super::fields::Findings;
use super::load::shown;
use super::parse::{Manifests, SCENARIO, version};
use crate::check::Sources;

/// Files in a chain of includes, the scenario's own among them.
const DEPTH_MAX: usize = 16;
/// Files that one scenario is read from.
const FILES_MAX: usize = 256;
/// Keys whose values are lists, which are joined.
const LISTS: [&str; 8] = ["config", "traffic", "expect", "never", "routes", "faults", "patch", "tags"];
/// Keys that are of a file itself.
const OWN: [&str; 3] = ["scenario", "version", "include"];

/// The files that a scenario is read from, its own first.
#[derive(Debug)]
pub(super) struct Files(Vec<File>);

/// One of them.
#[derive(Debug)]
pub(super) struct File {
    /// Its text, under the name that messages show.
    pub(super) source: SourceFile,
    /// Its name as seen from the scenario's folder.
    pub(super) seen: String,
}

impl Files {
    /// The scenario's own file alone.
    pub(super) fn new(source: &SourceFile) -> Self {
        let seen = source.name.rsplit('/').next().unwrap_or(&source.name).to_owned();
        Self(vec![File { source: source.clone(), seen }])
    }

    /// The file in which something stands.
    pub(super) fn at(&self, span: &Span) -> &File {
        self.0.iter().find(|file| file.source.name == span.file).unwrap_or(&self.0[0])
    }

    /// Their texts, under both of their names.
    pub(super) fn texts(&self) -> Sources {
        let mut sources = Sources::default();
        for file in &self.0 {
            for name in [&*file.seen, &*file.source.name] {
                sources.insert(name, file.source.text.to_string());
            }
        }
        sources
    }
}

impl File {
    /// A path that is written in this file, as seen from the scenario's folder.
    pub(super) fn path(&self, written: &str) -> String {
        match Path::new(&self.seen).parent() {
            Some(folder) if !folder.as_os_str().is_empty() => shown(&folder.join(written)),
            _ => written.to_owned(),
        }
    }
}

/// The keys of a scenario with those of the fragments that it includes. Everything that is wrong with the keys
/// of any of the files is among `findings`, the files among `files`.
pub(super) fn whole(own: &Mapping, manifests: &dyn Manifests, files: &mut Files, findings: &mut Findings) -> Mapping {
    let mut reader = Reader { manifests, files, findings };
    reader.with_fragments(own, &mut vec![0])
}

struct Reader<'a> {
    manifests: &'a dyn Manifests,
    files: &'a mut Files,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    /// `own` laid over its fragments; `chain` are the files that led here, this one last.
    fn with_fragments(&mut self, own: &Mapping, chain: &mut Vec<usize>) -> Mapping {
        let mut below = Mapping::default();
        for item in own.get("include").map(|node| self.findings.items(node)).unwrap_or_default() {
            if let Some(fragment) = self.fragment(item, chain) {
                below = laid_over(&fragment, &below);
            }
        }
        laid_over(own, &below)
    }

    /// The fragment that a path stands for; `None` when it was taken before, or is wrong.
    fn fragment(&mut self, item: &Node, chain: &mut Vec<usize>) -> Option<Mapping> {
        let written = self.findings.text(item, "what is included is a path; it")?;
        let includer = &self.files.0[*chain.last()?];
        let seen = includer.path(written);
        let source = match self.manifests.fragment(&seen) {
            Ok(source) => source,
            Err(why) => {
                self.findings.wrong(&item.span, why);
                return None;
            }
        };
        if let Some(number) = self.files.0.iter().position(|file| file.source.name == source.name) {
            if let Some(from) = chain.iter().position(|own| *own == number) {
                let names = chain[from..].iter().chain([&number]).map(|own| &*self.files.0[*own].source.name);
                let names = names.collect::<Vec<_>>().join(" includes ");
                self.findings.wrong(&item.span, format!("a file includes itself: {names}"));
            }
            return None;
        }
        if chain.len() >= DEPTH_MAX || self.files.0.len() >= FILES_MAX {
            let limit = format!("at most {DEPTH_MAX} files deep and {FILES_MAX} files are included");
            self.findings.wrong(&item.span, limit);
            return None;
        }
        let mapping = self.read(&source, &item.span);
        self.files.0.push(File { source, seen });
        let mapping = mapping?;
        chain.push(self.files.0.len() - 1);
        let whole = self.with_fragments(&mapping, chain);
        chain.pop();
        Some(whole)
    }

    /// The keys of a fragment, which is included at `at`.
    fn read(&mut self, source: &SourceFile, at: &Span) -> Option<Mapping> {
        let parsed = parse_yaml(source, Limits::default());
        let sound = parsed.diagnostics.is_empty();
        self.findings.extend(parsed.diagnostics);
        let documents: Vec<&Node> = parsed.documents.iter().filter(|document| !document.is_null()).collect();
        match documents.as_slice() {
            [one] => {
                let mapping = self.findings.mapping(one, &SCENARIO)?;
                version(mapping, self.findings);
                Some(mapping.clone())
            }
            [] => {
                if sound {
                    self.findings.wrong(at, format!("there is nothing in {}", source.name));
                }
                None
            }
            [_, second, ..] => {
                self.findings.wrong(&second.span, "what is included is one document; this is a second");
                None
            }
        }
    }
}

/// `own`, with what is `below` it where it has none, and lists joined.
fn laid_over(own: &Mapping, below: &Mapping) -> Mapping {
    let mut whole = Mapping::default();
    for (name, entry) in own.iter() {
        let entry = match below.entry(name).filter(|_| LISTS.contains(&name)) {
            Some(first) => joined(first, entry),
            None => entry.clone(),
        };
        whole.insert(name.to_owned(), entry);
    }
    for (name, entry) in below.iter().filter(|(name, _)| !OWN.contains(name)) {
        whole.insert(name.to_owned(), entry.clone());
    }
    whole
}

/// Two lists as one; what is no list stands for a list of it alone.
fn joined(first: &Entry, second: &Entry) -> Entry {
    let items = |entry: &Entry| match &entry.value.value {
        Value::Sequence(items) => items.clone(),
        _ => vec![entry.value.clone()],
    };
    let all = [items(first), items(second)].concat();
    let value = Node { value: Value::Sequence(all), span: second.value.span.clone(), plain: None };
    Entry { key: second.key.clone(), value }
}

#[cfg(test)]
mod tests {
    use super::super::{Scenario, parse};
    use super::*;

    /// Files of a folder `at`, in which the scenario is `main.yaml`.
    struct Folder(&'static [(&'static str, &'static str)]);

    impl Manifests for Folder {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            Ok(vec![SourceFile::new(path, "kind: Service\n")])
        }

        fn fragment(&self, path: &str) -> Result<SourceFile, String> {
            let found = self.0.iter().find(|(name, _)| *name == path);
            let (name, text) = found.ok_or_else(|| format!("cannot read at/{path}: there is no such file"))?;
            Ok(SourceFile::new(format!("at/{name}"), *text))
        }
    }

    fn read(files: &'static [(&'static str, &'static str)]) -> Result<Scenario, String> {
        let main = SourceFile::new("at/main.yaml", files[0].1);
        let text = |file: &str| files.iter().find(|(name, _)| format!("at/{name}") == file).map(|(_, text)| *text);
        parse(&main, &Folder(files))
            .map_err(|found| found.iter().map(|found| found.render(|file| text(file))).collect::<Vec<_>>().join("\n"))
    }

    const SHARED: &[(&str, &str)] = &[
        (
            "main.yaml",
            "include: [parts/traffic.yaml, parts/lab.yaml]\nscenario: own\nnetwork: {loss: 1%}\nconfig: [own.yaml]\n\
             tags: own\nexpect: [{edge: c -> d, traffic: base, status: {200: all}}]\n",
        ),
        (
            "parts/traffic.yaml",
            "seed: 5\ntraffic: {name: base, request: GET go/, count: 5}\ntags: [a, b]\ninclude: lab.yaml\n",
        ),
        (
            "parts/lab.yaml",
            "scenario: the lab itself\nseed: 9\napp: istio-lab\nnetwork: {latency: 9ms}\nconfig:\n  - ../lab.yaml\n  - gate.yaml\n  - |\n    \
             kind: Gateway\nexpect:\n  - {edge: a -> b, tls: mtls}\n",
        ),
    ];

    #[test]
    fn lists_are_joined_and_the_rest_is_taken_where_there_is_none() {
        let scenario = read(SHARED).unwrap();
        assert_eq!((scenario.name.as_str(), scenario.tags.join(" ")), ("own", "a b own".to_owned()));
        assert_eq!((scenario.app.is_some(), scenario.seed), (true, Some(5)), "the lab is taken once, below traffic");
        assert_eq!((scenario.network.loss_percent, scenario.network.latency.as_millis()), (1.0, 1));
        let edges: Vec<_> = scenario.checks.iter().map(|check| check.scope.to_string()).collect();
        assert_eq!(edges, ["a -> b", "c -> d"]);
        let files: Vec<&str> = scenario.config.iter().map(|file| &*file.name).collect();
        assert_eq!(files, ["lab.yaml", "parts/gate.yaml", "own.yaml", "parts/lab.yaml"]);
    }

    #[test]
    fn everything_keeps_its_place() {
        let scenario = read(SHARED).unwrap();
        let place = |at: usize| (scenario.checks[at].asked_at.file.as_str(), scenario.checks[at].asked_at.line);
        assert_eq!((place(0), place(1)), (("at/parts/lab.yaml", 11), ("at/main.yaml", 6)));
        let inline = scenario.config.last().unwrap();
        assert_eq!(inline.text.lines().nth(8), Some("    kind: Gateway"));
        assert_eq!(scenario.shown(&inline.name), "at/parts/lab.yaml");
        assert_eq!(scenario.sources.text("at/parts/lab.yaml"), Some(SHARED[2].1));
        assert_eq!(scenario.sources.text("parts/lab.yaml"), Some(SHARED[2].1));
    }

    #[test]
    fn what_is_wrong_is_told_in_the_file_where_it_stands() {
        let wrong = read(&[
            (
                "main.yaml",
                "scenario: s\ninclude: [a.yaml, no.yaml, [x], empty.yaml, two.yaml]\nnever: {edge: a -> b}\n",
            ),
            ("a.yaml", "trafic: 1 GET a/\nseed: x\nversion: 2\nexpect:\n  - {edge: a -> b, status: {20: all}}\n"),
            ("empty.yaml", "# nothing\n"),
            ("two.yaml", "seed: 1\n---\nseed: 2\n"),
        ]);
        insta::assert_snapshot!(wrong.unwrap_err());
    }

    #[test]
    fn a_file_that_includes_itself_is_told_with_the_way_there() {
        let wrong = read(&[
            ("main.yaml", "scenario: s\ninclude: x/a.yaml\nnever: {edge: a -> b}\n"),
            ("x/a.yaml", "include: [b.yaml, b.yaml]\n"),
            ("x/b.yaml", "include:\n  - ../main.yaml\n  - a.yaml\n"),
        ]);
        insta::assert_snapshot!(wrong.unwrap_err());
    }

    /// A folder in which every file includes the next.
    struct Endless;

    impl Manifests for Endless {
        fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
            let next = path.trim_end_matches(".yaml").parse::<u32>().map_or(0, |own| own + 1);
            Ok(vec![SourceFile::new(path, format!("include: {next}.yaml\n"))])
        }
    }

    #[test]
    fn includes_end_at_their_limit() {
        let main = SourceFile::new("main.yaml", "scenario: s\ninclude: 1.yaml\nnever: {edge: a -> b}\n");
        let found = parse(&main, &Endless).unwrap_err();
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["15.yaml:1:10: error[MS0101]: at most 16 files deep and 256 files are included"]);
    }
}
