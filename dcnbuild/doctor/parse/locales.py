"""What gcc, glibc, Windows and MSVC say in other languages, and the English they say it for.

Source: the message catalogues of gcc 12.2 (gcc-12.mo, cpplib-12.mo) and glibc 2.36 (libc.mo) as
Debian 12 ships them; for Windows and MSVC the texts that users' logs show. gcc mixes languages: a
phrase that its catalogue lacks stays English, so single phrases are translated, not whole lines.
"""

from __future__ import annotations

import re

#: English → what other languages say. A regular expression where the order of words changes.
PHRASES: dict[str, tuple[str, ...]] = {
    "fatal error: ": (
        "schwerwiegender Fehler: ",
        "致命错误：",
        "致命错误： ",
        "致命错误: ",
        "嚴重錯誤：",
        "erreur fatale: ",
        "erreur fatale : ",
        "致命的エラー: ",
        "error fatal: ",
        "фатальная ошибка: ",
    ),
    "internal compiler error: ": (
        "interner Compiler-Fehler: ",
        "编译器内部错误：",
        "內部編譯器錯誤：",
        "編譯器內部錯誤：",
        "erreur interne du compilateur: ",
        "コンパイラ内部エラー: ",
        "error interno del compilador: ",
        "внутренняя ошибка компилятора: ",
    ),
    "error: ": (
        "Fehler: ",
        "错误：",
        "错误: ",
        "錯誤：",
        "erreur: ",
        "erreur : ",
        "エラー: ",
        "ошибка: ",
    ),
    "warning: ": (
        "Warnung: ",
        "警告：",
        "警告: ",
        "attention: ",
        "attention : ",
        "aviso: ",
        "предупреждение: ",
    ),
    "note: ": ("Anmerkung: ", "附注：", "附註：", "備考: ", "nota: ", "замечание: "),
    "No such file or directory": (
        "Datei oder Verzeichnis nicht gefunden",
        "没有那个文件或目录",
        "沒有此一檔案或目錄",
        "沒有那個檔案或目錄",
        "Aucun fichier ou dossier de ce type",
        "Aucun fichier ou dossier de ce nom",
        "そのようなファイルやディレクトリはありません",
        "No existe el fichero o el directorio",
        "No existe el archivo o el directorio",
        "Нет такого файла или каталога",
    ),
    "was not declared in this scope": (
        "wurde in diesem Gültigkeitsbereich nicht definiert",
        "wurde in diesem Sichtbarkeitsbereich nicht definiert",
        "在此作用域中尚未声明",
        "在此作用欄位中尚未宣告",
        "n'a pas été déclaré dans cette portée",
        "はこのスコープで宣言されていません",
        "no se declaró en este ámbito",
    ),
    "does not name a type": (
        "bezeichnet keinen Typ",
        "不是一个类型名",
        "没有命名一个类型",
        "沒有命名一個類型",
        "ne nomme pas un type",
        "no nombra a un tipo",
        "не является именем типа",
    ),
    "undeclared (first use": (
        "nicht deklariert (erste Verwendung",
        "未声明(在此函数内第一次使用)",
        "未声明（在此函数内第一次使用）",
        "non déclaré (première utilisation",
        "no se declaró aquí (primer uso",
    ),
    "No space left on device": (
        "Auf dem Gerät ist kein Speicherplatz mehr verfügbar",
        "设备上没有空间",
        "裝置上已無多餘空間",
        "Aucun espace disponible sur le périphérique",
        "デバイスに空き領域がありません",
        "No queda espacio en el dispositivo",
        "На устройстве не осталось свободного места",
    ),
    "Permission denied": (
        "Keine Berechtigung",
        "权限不够",
        "拒絕不符權限的操作",
        "Permission non accordée",
        "許可がありません",
        "Permiso denegado",
        "Отказано в доступе",
    ),
    "Cannot allocate memory": (
        "Nicht genügend Hauptspeicher verfügbar",
        "无法分配内存",
        "無法配置記憶體",
        "Ne peut allouer de la mémoire",
        "メモリを確保できません",
        "No se pudo asignar memoria",
        "Невозможно выделить память",
    ),
    "cannot open shared object file": (
        "Kann die Shared-Object-Datei nicht öffnen",
        "无法打开共享对象文件",
        "無法開啟共用物件",
        "Ne peut ouvrir le fichier d'objet partagé",
        "共有オブジェクトファイルを開けません",
        "no se puede abrir el fichero del objeto compartido",
        "невозможно открыть разделяемый объектный файл",
    ),
    "Killed": ("Getötet", "已杀死", "強制結束", "強制終了", "Убито", "Processus arrêté"),
    "Read-only file system": ("Das Dateisystem ist nur lesbar", "只读文件系统", "唯讀的檔案系統"),
    "Disk quota exceeded": (
        "Der zugewiesene Plattenplatz (Quota) ist überschritten",
        "超出磁盘限额",
        "Débordement du quota d'espace disque",
    ),
    "command not found": (
        "Befehl nicht gefunden",
        "Kommando nicht gefunden",
        "未找到命令",
        "commande introuvable",
    ),
    "unrecognized command-line option": (
        "nicht erkannte Kommandozeilenoption",
        "无法识别的命令行选项",
    ),
    "no matching function for call to": (
        "keine passende Funktion für Aufruf von",
        "没有匹配的函数",
        "pas de fonction correspondant à l'appel",
    ),
    "undefined reference to": (
        "Nicht definierter Verweis auf",
        "nicht definierter Verweis auf",
        "未定义的引用",
        "référence indéfinie vers",
    ),
    "Cannot open include file": (
        "无法打开包括文件",
        "無法開啟包含檔案",
        "Datei (Include) kann nicht geöffnet werden",
    ),
    "identifier not found": ("找不到标识符", "Bezeichner wurde nicht gefunden"),
    "undeclared identifier": ("未声明的标识符", "nichtdeklarierter Bezeichner"),
    "cannot open input file": ("无法打开输入文件", "Eingabedatei kann nicht geöffnet werden"),
    "unresolved external symbol": (
        "无法解析的外部符号",
        "Verweis auf nicht aufgelöstes externes Symbol",
        "nicht aufgelöstes externes Symbol",
    ),
    "The system cannot find the file specified": (
        "系统找不到指定的文件",
        "系統找不到指定的檔案",
        "Das System kann die angegebene Datei nicht finden",
    ),
    "The specified module could not be found": (
        "找不到指定的模块",
        "找不到指定的模組",
        "Das angegebene Modul wurde nicht gefunden",
    ),
    "The specified procedure could not be found": (
        "找不到指定的程序",
        "找不到指定的程式",
        "Die angegebene Prozedur wurde nicht gefunden",
    ),
    "is not recognized as an internal or external command": (
        "不是内部或外部命令",
        "不是內部或外部命令",
        "ist entweder falsch geschrieben oder konnte nicht gefunden werden",
    ),
    "There is not enough space on the disk": ("磁盘空间不足", "Es steht nicht genug Speicherplatz"),
    "Access is denied": ("拒绝访问", "存取被拒", "Zugriff verweigert"),
    "compiler is out of heap space": ("编译器的堆空间不足", "Nicht genügend Heapspeicher"),
}

_ENGLISH = {phrase: english for english, phrases in PHRASES.items() for phrase in phrases}
_PHRASE = re.compile("|".join(sorted(map(re.escape, _ENGLISH), key=len, reverse=True)))

#: Sentences whose words change their order: (a part of it, the sentence, the English).
_REORDERED = tuple(
    (part, re.compile(sentence), english)
    for part, sentence, english in (
        (
            "umgewandelt",
            r"(?<!\S)(\S{1,200}) kann nicht nach (\S{1,200}) umgewandelt werden",
            r"cannot convert \1 to \2",
        ),
        ("beendet", r"Signal (\w+) hat Programm (\w+) beendet", r"\1 signal terminated program \2"),
        ("转换", r"无法(?:从|将)(.{1,200}?)转换(?:到|为|成)(.{1,200})", r"cannot convert \1 to \2"),
        ("nicht finden", r"kann (-l\S{1,100}) nicht finden", r"cannot find \1"),
        ("找不到", r"找不到 ?(-l\S{1,100})", r"cannot find \1"),
        (
            "нет декларации",
            r"нет декларации (\S{1,200}) в этой области",
            r"\1 was not declared in this scope",
        ),
        (
            "未定义的引用",
            r"对[‘“'`]?(.{1,200}?)[’”']?未定义的引用",
            r"undefined reference to '\1'",
        ),
    )
)

#: Quotation marks, with the space that French puts inside.
_OPENING = re.compile(
    r"(?:[\u300c\u201e]|\u00ab[ \u00a0\u202f]?|\u00bb(?=[^\s\u00ab\u00bb]{1,200}\u00ab))"
)
_CLOSING = re.compile(
    r"(?:\u300d|[ \u00a0\u202f]?\u00bb(?![^\s\u00ab\u00bb]{1,200}\u00ab)|(?<=\S)\u00ab)"
)

#: An ASCII line without any of these has nothing to translate; it saves the work on English logs.
_FOREIGN = re.compile(
    r"Fehler|Warnung|Datei|nicht |Verweis|Modul |Prozedur|keinen Typ|Bezeichner|passende|Das |Kann |Befehl"
    r"|Kommando|Berechtigung|Zugriff|Anmerkung|Es steht|beendet|geschrieben|erreur|attention ?:"
    r"|Aucun |commande|ne nomme|fonction correspondant|Permission non|aviso|nota: |No existe|No queda"
    r"|No se |no se |no nombra|error fatal|error interno|Permiso|Processus|Ne peut|non d"
)


def to_english(line: str) -> str:
    """The line with every known phrase of a localised tool in English, the rest as it was."""
    if line.isascii() and not _FOREIGN.search(line):
        return line
    line = _OPENING.sub("\u2018", _CLOSING.sub("\u2019", line))
    for part, pattern, english in _REORDERED:
        if part in line:
            line = pattern.sub(english, line)
    return _PHRASE.sub(lambda found: _ENGLISH[found.group()], line)
