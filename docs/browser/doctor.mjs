// Loads Pyodide and the doctor from the site itself. Runs in a worker of the page, and in node for the tests.

/** The functions of tools/docs/in_browser.py. `report` gets a share of 1 and what is being done. */
export async function doctor(base, read, report = () => {}) {
  report(0.05, "Loading Python");
  const { loadPyodide } = await import(new URL("pyodide.mjs", base).href);
  const python = await loadPyodide({ indexURL: base.protocol === "file:" ? base.pathname : base.href });
  report(0.7, "Loading the doctor");
  python.unpackArchive(await read(new URL("doctor.zip", base)), "zip", { extractDir: "/doctor" });
  report(0.85, "Reading its tables");
  python.runPython("import sys; sys.path.insert(0, '/doctor')");
  const module = python.pyimport("in_browser");
  report(1, "Ready");
  return {
    findings: (log) => JSON.parse(module.findings(log)),
    whichTorch: (gpu, driver, version, wish) => JSON.parse(module.which_torch(gpu, driver, version, wish)),
  };
}
